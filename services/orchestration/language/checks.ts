import { isIPv4, isIPv6 } from 'node:net';
import { text } from './render.ts';
import type { Value } from './values.ts';

/** The custom constraints that need no cloud: addresses, names, times. What asks a service passes here. */

type Check = (value: Value, now?: number) => string | undefined;

function bad(value: Value, reason: string): string {
  return `Error validating value '${text(value)}': ${reason}`;
}

function ipAddress(value: Value): string | undefined {
  if (typeof value !== 'string' || /\s/.test(value)) return bad(value, 'Invalid IP address');
  // An octet with a leading zero is decimal to some and octal to others: Neutron refuses it.
  return isIPv4(value) || (isIPv6(value) && !value.includes('%')) ? undefined : bad(value, 'Invalid IP address');
}

/** Whether the text is an address and a prefix length, IPv4 written in full. */
function subnetProblem(value: string): string | undefined {
  if (/\s/.test(value)) return `'${value}' is not a valid IP subnet`;
  const [address, mask, ...rest] = value.split('/') as [string, string | undefined];
  if (rest.length > 0 || address === '') return `'${value}' is not a valid IP subnet`;
  if (isIPv6(address) && !address.includes('%')) {
    if (mask === undefined) return `'${value}' isn't a recognized IP subnet cidr, '${value}/128' is recommended`;
    return /^\d+$/.test(mask) && Number(mask) <= 128 ? undefined : `'${value}' is not a valid IP subnet`;
  }
  if (!/^\d+(\.\d+){0,3}$/.test(address) || address.split('.').some((part) => Number(part) > 255)) {
    return `'${value}' is not a valid IP subnet`;
  }
  const full = isIPv4(address);
  if (mask === undefined) {
    if (!full) return `'${value}' is not a valid IP subnet`;
    return `'${value}' isn't a recognized IP subnet cidr, '${value}/32' is recommended`;
  }
  const bits = isIPv4(mask) ? prefixOf(mask) : /^\d+$/.test(mask) ? Number(mask) : undefined;
  if (bits === undefined || bits > 32) return `'${value}' is not a valid IP subnet`;
  if (!full || isIPv4(mask) || String(bits) !== mask) {
    return `'${value}' isn't a recognized IP subnet cidr, '${address}/${bits}' is recommended`;
  }
  return undefined;
}

/** The prefix length of a netmask or hostmask in dotted form. */
function prefixOf(mask: string): number | undefined {
  const bits = mask
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('');
  if (/^1*0*$/.test(bits)) return bits.replaceAll('0', '').length;
  return /^0*1*$/.test(bits) ? bits.replaceAll('1', '').length : undefined;
}

const netCidr: Check = (value) => {
  if (typeof value !== 'string') return bad(value, `Invalid net cidr invalid IPNetwork ${text(value)} `);
  const problem = subnetProblem(value);
  return problem === undefined ? undefined : bad(value, problem);
};

const ipOrCidr: Check = (value) => {
  if (typeof value !== 'string') return bad(value, `${text(value)} is not a valid IP or CIDR`);
  return value.includes('/') ? netCidr(value) : ipAddress(value);
};

// The spellings that netaddr knows: by octets with : or -, by halves with . or :, or bare.
const MAC =
  /^(?:[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}|[0-9a-f]{1,2}(?:-[0-9a-f]{1,2}){5}|[0-9a-f]{1,4}(?:[.:-][0-9a-f]{1,4}){2}|[0-9a-f]{5,6}-[0-9a-f]{5,6}|[0-9a-f]{11,12})$/i;

const macAddress: Check = (value) =>
  typeof value === 'string' && MAC.test(value) ? undefined : bad(value, 'Invalid MAC address.');

/** Why a text is no DNS name (RFC 1123), undefined where it is one. */
function dnsProblem(name: string): string | undefined {
  if (name === '') return undefined;
  const trimmed = name.endsWith('.') ? name.slice(0, -1) : name;
  if (trimmed.length > 255) return `'${trimmed}' exceeds the 255 character FQDN limit`;
  const labels = trimmed.split('.');
  for (const label of labels) {
    if (label === '') return 'Encountered an empty component.';
    if (label.startsWith('-') || label.endsWith('-')) return `Name '${label}' must not start or end with a hyphen.`;
    if (!/^[a-z0-9-]{1,63}$/.test(label)) {
      return `Name '${label}' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen.`;
    }
  }
  const last = labels.at(-1)!;
  if (name.endsWith('.') && labels.length > 1 && /^[0-9]+$/.test(last)) return `TLD '${last}' must not be all numeric.`;
  return undefined;
}

const dnsName: Check = (value) => {
  const problem = dnsProblem(text(value));
  return problem === undefined ? undefined : bad(value, `'${text(value)}' not in valid format. Reason: ${problem}`);
};

const relativeDnsName: Check = (value) => {
  const name = text(value);
  if (value === null || name === '') return undefined;
  if (name.endsWith('.')) return bad(value, `'${name}' is a FQDN. It should be a relative domain name.`);
  if (name.length > 252) return bad(value, `'${name}' contains '${name.length}' characters.`);
  return dnsName(value);
};

const dnsDomain: Check = (value) => {
  const name = text(value);
  if (value === null || name === '') return undefined;
  return dnsName(value) ?? (name.endsWith('.') ? undefined : bad(value, `'${name}' must end with '.'.`));
};

const ISO_8601 =
  /^\d{4}(?:-?\d{2}(?:-?\d{2}(?:[T ]\d{2}(?::?\d{2}(?::?\d{2}(?:[.,]\d+)?)?)?\s*(?:Z|[-+]\d{2}(?::?\d{2})?)?)?)?)?$/;

const iso8601: Check = (value) =>
  typeof value === 'string' && ISO_8601.test(value) && !Number.isNaN(Date.parse(value.replace(' ', 'T')))
    ? undefined
    : bad(value, 'not an ISO 8601 time');

const MONTHS = 'jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec'.split('|');
const DAYS = 'sun|mon|tue|wed|thu|fri|sat'.split('|');
const CRON_FIELDS: { low: number; high: number; names?: string[]; last?: boolean }[] = [
  { low: 0, high: 59 },
  { low: 0, high: 23 },
  { low: 1, high: 31, last: true },
  { low: 1, high: 12, names: MONTHS },
  { low: 0, high: 7, names: DAYS },
  { low: 0, high: 59 },
];

const cronExpression: Check = (value) => {
  const expression = text(value);
  if (value === null || expression === '') return undefined;
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5 && fields.length !== 6) {
    return bad(value, 'Invalid CRON expression: Exactly 5 or 6 columns has to be specified for iterator expression.');
  }
  const wrong = fields.findIndex(
    (field, i) => !field.split(',').every((part) => cronPart(part.toLowerCase(), CRON_FIELDS[i]!)),
  );
  return wrong === -1
    ? undefined
    : bad(value, `Invalid CRON expression: [${expression}] is not acceptable, out of range`);
};

function cronPart(part: string, { low, high, names, last }: (typeof CRON_FIELDS)[number]): boolean {
  if (part === '*' || (last && part === 'l')) return true;
  const match = /^(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:\/(\d+))?$/.exec(part);
  if (!match) return false;
  const numberOf = (word: string): number => {
    const named = names?.indexOf(word) ?? -1;
    return named >= 0 ? named + (names === MONTHS ? 1 : 0) : Number(word);
  };
  const within = (word: string): boolean => numberOf(word) >= low && numberOf(word) <= high;
  if (match[3] !== undefined && Number(match[3]) < 1) return false;
  if (match[1] === '*') return match[2] === undefined;
  return within(match[1]!) && (match[2] === undefined || within(match[2]));
}

const timezone: Check = (value) => {
  const zone = text(value);
  if (value === null || zone === '') return undefined;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return undefined;
  } catch {
    return bad(value, `Invalid timezone: '${zone}'`);
  }
};

const expiration: Check = (value, now) => {
  if (value === null || value === '') return undefined;
  const malformed = iso8601(value);
  if (malformed !== undefined) return malformed;
  const zoned = /(?:Z|[-+]\d{2}:?\d{2})$/.test(value as string) ? (value as string) : `${value as string}Z`;
  const expired = now !== undefined && Date.parse(zoned.replace(' ', 'T')) <= now;
  return expired ? bad(value, `Expiration ${value as string} is invalid: Expiration time is out of date.`) : undefined;
};

const CHECKS: Record<string, Check> = {
  ip_addr: ipAddress,
  net_cidr: netCidr,
  ip_or_cidr: ipOrCidr,
  mac_addr: macAddress,
  dns_name: dnsName,
  rel_dns_name: relativeDnsName,
  dns_domain: dnsDomain,
  iso_8601: iso8601,
  cron_expression: cronExpression,
  timezone,
  expiration,
};

/** What is wrong with a value under a custom constraint; undefined where nothing is, or only a service could tell. */
export function checkValue(name: string, value: Value, now?: number): string | undefined {
  return CHECKS[name]?.(value, now);
}
