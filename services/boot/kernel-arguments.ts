/** The ramdisk's command line for one machine. */
import type { Wish } from './model.ts';

export interface ArgumentsDeps {
  /** In front of the agent's. */
  readonly standing: readonly (readonly [string, string | null])[];
  /** `https://192.0.2.1:6385` */
  readonly apiUrl: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** s that the discovery ramdisk listens for its switches' LLDP, which say something every 30 s. */
  readonly lldpSeconds: number;
}

export function argumentsFor(deps: ArgumentsDeps, wish: Wish): (readonly [string, string | null])[] {
  const own: Record<string, string | null> = {
    ...(wish.intent === 'discover'
      ? {
          'ipa-inspection-callback-url': `${deps.apiUrl}/boot/v1/discovered`,
          'uc-lldp-seconds': String(deps.lldpSeconds),
        }
      : { 'ipa-api-url': deps.apiUrl }),
    ...(wish.token !== undefined && { 'uc-boot-token': wish.token }),
    // Seconds: the agent sets its clock before it judges a certificate.
    'uc-time': String(Math.floor(deps.now() / 1000)),
    // 01 is Ethernet's hardware type, as pxelinux writes it.
    BOOTIF: `01-${wish.mac.replaceAll(':', '-')}`,
  };
  return [...deps.standing, ...Object.entries({ ...own, ...wish.agentArguments })];
}
