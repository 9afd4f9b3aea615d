/** One figure beside its peer's. Stdout carries rows only; what else a bench has to say goes to stderr. */
export interface Row {
  /** No blanks, the unit at its end: `poll_cpu_ms`. */
  name: string;
  ours: number;
  peer: number;
  /** Which of the two is better. A rate is better when higher, a time or a size when lower. */
  better: 'lower' | 'higher';
}

export type Report = (row: Row) => void;

/** @param full the long form, without the eight minutes' limit */
export type Bench = (report: Report, options: { full: boolean }) => Promise<void>;

/** `name ours peer ratio`: ratio says how many times better ours is, above 1 is better whichever way the figure runs. */
export function rowLine({ name, ours, peer, better }: Row): string {
  if (/\s/.test(name))
    throw new Error(`the row's name ${JSON.stringify(name)} has a blank; its reader splits at blanks`);
  const ratio = better === 'lower' ? peer / ours : ours / peer;
  return [name, ...[ours, peer, ratio].map(figure)].join(' ');
}

/** Four digits that say something, and never an exponent: the reader may be awk. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return '0';
  const digits = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toFixed(Math.min(digits, 9));
}
