/** What the boot script tells the agent: the kernel's command line. Names with ipa- are the stock agent's, with uc- our own. Pure. */
import { bootInterface } from './inventory.ts';

export interface KernelArguments {
  /** Base URLs of the Ironic API, in the order to try. */
  apiUrls: string[];
  bootToken?: string;
  /** The agent token, where virtual media carried it. */
  agentToken?: string;
  nodeUuid?: string;
  inspectionUrl?: string;
  insecure: boolean;
  listenPort: number;
  advertiseHost?: string;
  advertisePort?: number;
  /** Seconds. */
  lookupTimeout: number;
  lookupInterval: number;
  /** Seconds since 1970 by the undercloud's clock when it wrote the boot script. */
  time?: number;
  bootMac?: string;
  /** Discovery: how long switches are listened to. */
  lldpSeconds: number;
}

/** Values may be quoted, as the kernel's own parser allows. */
export function splitCommandLine(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, name, quoted, bare] of text.matchAll(/([^\s="]+)(?:=(?:"([^"]*)"|(\S*)))?/g))
    found[name!] = quoted ?? bare ?? '';
  return found;
}

/** Throws Error with a sentence where the agent could not do anything: no API named, a value that is no number. */
export function readKernelArguments(text: string): KernelArguments {
  const given = splitCommandLine(text);
  const number = (name: string, instead: number) => {
    const value = given[name];
    if (value === undefined) return instead;
    if (!/^\d{1,12}$/.test(value))
      throw new Error(`The kernel argument ${name} is ${JSON.stringify(value)}, not a number.`);
    return Number(value);
  };
  const apiUrls = (given['ipa-api-url'] ?? '').split(',').filter(Boolean);
  const inspectionUrl = given['ipa-inspection-callback-url'];
  if (apiUrls.length === 0 && !inspectionUrl)
    throw new Error(
      'The kernel arguments hold no ipa-api-url: this ramdisk does not know whose it is. The boot script must pass it.',
    );
  for (const url of apiUrls)
    if (!/^https?:\/\/./.test(url))
      throw new Error(`The kernel argument ipa-api-url holds ${JSON.stringify(url)}, which is no URL.`);
  const bootMac = bootInterface(text);
  const text_ = (name: string, key: string) => (given[name] ? { [key]: given[name] } : {});
  return {
    apiUrls: apiUrls.map((url) => url.replace(/\/+$/, '')),
    ...text_('uc-boot-token', 'bootToken'),
    ...text_('ipa-agent-token', 'agentToken'),
    ...text_('uc-node-uuid', 'nodeUuid'),
    ...(inspectionUrl ? { inspectionUrl } : {}),
    insecure: ['1', 'true', 'yes'].includes((given['ipa-insecure'] ?? '').toLowerCase()),
    listenPort: number('ipa-listen-port', 9999),
    ...text_('ipa-advertise-host', 'advertiseHost'),
    ...(given['ipa-advertise-port'] ? { advertisePort: number('ipa-advertise-port', 9999) } : {}),
    lookupTimeout: number('ipa-lookup-timeout', 600),
    lookupInterval: number('ipa-lookup-interval', 1),
    lldpSeconds: number('uc-lldp-seconds', 31),
    ...(given['uc-time'] ? { time: number('uc-time', 0) } : {}),
    ...(bootMac === null ? {} : { bootMac }),
  };
}
