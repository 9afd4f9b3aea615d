/**
 * iPXE stops for two seconds at each of its stages, for somebody who may press Ctrl-B. Any other key ends the stop. A lab boots dozens of
 * machines with nobody at their consoles, so the key is pressed for them; who has the console open keeps the stop.
 */

/** Of the banner in ROM and of the one after it alike. */
const banner = Buffer.from('Press Ctrl-B');
const key = Buffer.from('\r');

/** Give it all that the machine says; it types once for each banner that `isAlone` finds nobody to read. */
export function bannerKey(type: (typed: Buffer) => void, isAlone: () => boolean = () => true): (said: Buffer) => void {
  let before: Buffer = Buffer.alloc(0);
  return (said) => {
    const text = Buffer.concat([before, said]);
    const at = text.lastIndexOf(banner);
    if (at >= 0 && isAlone()) type(key);
    // A banner may come in pieces; one that was seen is not to be seen again.
    const rest = at >= 0 ? text.subarray(at + banner.length) : text;
    before = Buffer.from(rest.subarray(Math.max(0, rest.length - banner.length + 1)));
  };
}
