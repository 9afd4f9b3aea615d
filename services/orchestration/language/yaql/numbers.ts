import { Fault } from '../faults.ts';
import { toInteger } from '../functions/arguments.ts';
import { compareText } from '../render.ts';
import { toNumber } from '../schema.ts';
import { equal, Float, float, integer, isFloat, isInteger, type Value } from '../values.ts';
import { define, numberOf } from './library.ts';
import { isList, Stream, type Y, YSet } from './runtime.ts';

/** Operators and arithmetic. Whole numbers stay whole and exact, as Python's do. */

function mismatch(operator: string): Fault {
  return new Fault('NoMatchingFunctionException', `No function "#operator_${operator}" matches supplied arguments`);
}

const isCount = (value: Y): boolean => typeof value !== 'boolean' && isInteger(value);

/** Works on two numbers: exactly where both are whole, else in floats. */
function arithmetic(a: Y, b: Y, whole: (a: bigint, b: bigint) => bigint, real: (a: number, b: number) => number): Y {
  if (isCount(a) && isCount(b)) return integer(whole(BigInt(a as number), BigInt(b as number)));
  return float(real(numberOf(a), numberOf(b)));
}

/** Python's floor division and modulo: towards minus infinity, the remainder with the divisor's sign. */
function floorDivide(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new Fault('ZeroDivisionError', 'integer division or modulo by zero');
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
}

function realDivide(a: number, b: number): number {
  if (b === 0) throw new Fault('ZeroDivisionError', 'float division by zero');
  return a / b;
}

const isNumeric = (value: Y): boolean => isCount(value) || isFloat(value);

/** yaql's "+": of numbers, texts, lists or maps. */
export function add(a: Y, b: Y): Y {
  if (isNumeric(a) && isNumeric(b))
    return arithmetic(
      a,
      b,
      (x, y) => x + y,
      (x, y) => x + y,
    );
  if (typeof a === 'string' && typeof b === 'string') return a + b;
  if (a instanceof Map && b instanceof Map) return new Map([...a, ...b]);
  if (isList(a) && isList(b)) {
    if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
    if (a instanceof YSet && b instanceof YSet) return new YSet([...a, ...b]);
    return new Stream([...a, ...b].values());
  }
  throw mismatch('+');
}

/** Compares numbers with numbers and texts with texts; null is less than anything. */
function compare(operator: string, a: Y, b: Y): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1;
  if (isNumeric(a) && isNumeric(b)) {
    const [x, y] = [a, b].map((value) => (value instanceof Float ? value.number : (value as number | bigint))) as [
      number,
      number,
    ];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  throw mismatch(operator);
}

export const less = (a: Y, b: Y): boolean => compare('<', a, b) < 0;
export const greater = (a: Y, b: Y): boolean => compare('>', a, b) > 0;

define('function', '#operator_+', 'left:any right:any', ([a, b]) => add(a!, b!));
define('function', '#operator_-', 'left:number right:number', ([a, b]) =>
  arithmetic(
    a!,
    b!,
    (x, y) => x - y,
    (x, y) => x - y,
  ),
);
define(
  'function',
  '#operator_-',
  'left:set right:set',
  ([a, b]) => new YSet([...(a as YSet)].filter((item) => !(b as YSet).has(item))),
);
define('function', '#operator_*', 'left:number right:number', ([a, b]) =>
  arithmetic(
    a!,
    b!,
    (x, y) => x * y,
    (x, y) => x * y,
  ),
);
define('function', '#operator_*', 'left:text right:int', ([a, b]) => repeated(a as string, numberOf(b)));
define('function', '#operator_*', 'left:int right:text', ([a, b]) => repeated(b as string, numberOf(a)));
define('function', '#operator_*', 'left:sequence right:int', ([a, b]) => repeatedList(a as Y[], numberOf(b)));
define('function', '#operator_*', 'left:int right:sequence', ([a, b]) => repeatedList(b as Y[], numberOf(a)));
function repeated(text: string, times: number): string {
  if (text.length * times > 10_000)
    throw new Fault('MemoryQuotaExceededException', 'Expression consumed too much memory');
  return text.repeat(Math.max(0, times));
}
function repeatedList(list: Y[], times: number): Y[] {
  if (list.length * times > 1_250)
    throw new Fault('MemoryQuotaExceededException', 'Expression consumed too much memory');
  return Array.from({ length: Math.max(0, times) }, () => list).flat(1) as Y[];
}
define('function', '#operator_/', 'left:number right:number', ([a, b]) => arithmetic(a!, b!, floorDivide, realDivide));
define('function', '#operator_mod', 'left:number right:number', ([a, b]) =>
  arithmetic(
    a!,
    b!,
    (x, y) => x - y * floorDivide(x, y),
    (x, y) => x - y * Math.floor(realDivide(x, y)),
  ),
);
define('function', '#operator_=', 'left:any right:any', ([a, b]) => equal(plain(a!), plain(b!)));
define('function', '#operator_!=', 'left:any right:any', ([a, b]) => !equal(plain(a!), plain(b!)));
const plain = (value: Y): Y => (value instanceof YSet ? value.items : value);
define('function', '#operator_<', 'left:any right:any', ([a, b]) => compare('<', a!, b!) < 0);
define('function', '#operator_>', 'left:any right:any', ([a, b]) => compare('>', a!, b!) > 0);
define('function', '#operator_<=', 'left:any right:any', ([a, b]) => compare('<=', a!, b!) <= 0);
define('function', '#operator_>=', 'left:any right:any', ([a, b]) => compare('>=', a!, b!) >= 0);
define('function', '#operator_in', 'left:any right:list', ([value, list]) => {
  for (const item of list as Y[]) if (equal(item, value)) return true;
  return false;
});
define('function', '#operator_in', 'left:text right:text', ([part, whole]) =>
  (whole as string).includes(part as string),
);
define('function', '#unary_+', 'value:number', ([value]) => value!);
define('function', '#unary_-', 'value:number', ([value]) => negated(value!));

function negated(value: Y): Y {
  return isCount(value) ? integer(-BigInt(value as number)) : float(-numberOf(value));
}

define('function', 'abs', 'op:number', ([value]) => (numberOf(value) < 0 ? negated(value!) : value!));
define('function', 'int', 'value:any', ([value]) => (value === null ? 0 : toInteger(value)));
define('function', 'float', 'value:any', ([value]) =>
  value === null ? float(0) : float(numberOf(toNumber(value as Value) as number)),
);
define('function', 'max', 'a:any b:any', ([a, b]) => (greater(b!, a!) ? b! : a!));
define('function', 'min', 'a:any b:any', ([a, b]) => (greater(b!, a!) ? a! : b!));
define('function', 'pow', 'a:number b:number', ([a, b]) => {
  if (isCount(a!) && isCount(b!) && numberOf(b) >= 0 && numberOf(b) < 1_000)
    return integer(BigInt(a as number) ** BigInt(b as number));
  return float(numberOf(a) ** numberOf(b));
});
define('function', 'sign', 'num:number', ([value]) => Math.sign(numberOf(value)));
define('function', 'round', 'number:number ndigits:int=', ([value, digits]) => {
  if (isCount(value!)) return value!;
  const scale = 10 ** (digits === undefined ? 0 : numberOf(digits));
  const scaled = numberOf(value) * scale;
  const floor = Math.floor(scaled);
  // Halves go to the even neighbour, as Python 3 has it.
  const rounded = scaled - floor === 0.5 ? (floor % 2 === 0 ? floor : floor + 1) : Math.round(scaled);
  return float(rounded / scale);
});
define('function', 'bitwiseAnd', 'left:int right:int', ([a, b]) => integer(BigInt(numberOf(a)) & BigInt(numberOf(b))));
define('function', 'bitwiseOr', 'left:int right:int', ([a, b]) => integer(BigInt(numberOf(a)) | BigInt(numberOf(b))));
define('function', 'bitwiseXor', 'left:int right:int', ([a, b]) => integer(BigInt(numberOf(a)) ^ BigInt(numberOf(b))));
define('function', 'bitwiseNot', 'arg:int', ([a]) => integer(~BigInt(numberOf(a))));
define('function', 'shiftBitsLeft', 'value:int bitsNumber:int', ([a, bits]) => {
  if (numberOf(bits) > 10_000) throw new Fault('MemoryQuotaExceededException', 'Expression consumed too much memory');
  return integer(BigInt(numberOf(a)) << BigInt(numberOf(bits)));
});
define('function', 'shiftBitsRight', 'value:int bitsNumber:int', ([a, bits]) =>
  integer(BigInt(numberOf(a)) >> BigInt(numberOf(bits))),
);
define('function', 'isInteger', 'value:any', ([value]) => isCount(value!));
define('function', 'isNumber', 'value:any', ([value]) => isNumeric(value!));
