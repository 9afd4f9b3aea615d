/** `undercloud bmc scan`: finds BMCs in a network that the configuration names. */
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import { asInput, parseInput, readInput } from '../input-file.ts';
import { table } from '../output.ts';
import { action } from '../program.ts';
import { bmcNodeCommands } from './bmc-node.ts';

interface Found {
  candidate: string;
  address: string;
  protocols: string[];
  ipmi_version: string | null;
  redfish_version: string | null;
  vendor: string | null;
  product: string | null;
  serial: string | null;
  username: string | null;
  refusal: string | null;
}

/** A list of {username, password}; JSON or YAML. */
function credentialsIn(file: string): { username: string; password: string }[] {
  const parsed = parseInput(readInput(file).toString('utf8'), file);
  const list = Array.isArray(parsed) ? parsed : [parsed];
  return list.map((entry: unknown, i) => {
    const { username, password } = (entry ?? {}) as { username?: unknown; password?: unknown };
    if (typeof username !== 'string' || typeof password !== 'string')
      throw fault('file-malformed', {
        place: `${file}, entry ${i + 1}`,
        reason: 'an entry is {username: …, password: …}, both text.',
      });
    return { username, password };
  });
}

const spoken = (one: Found): string =>
  [
    one.ipmi_version === null ? null : one.ipmi_version === 'unknown' ? 'IPMI' : `IPMI ${one.ipmi_version}`,
    one.redfish_version === null ? null : `Redfish ${one.redfish_version}`,
  ]
    .filter(Boolean)
    .join(', ');

export function bmcCommands(program: Command): void {
  const bmc = program
    .command('bmc')
    .description('baseboard management controllers: find them, examine them, keep them');
  bmcNodeCommands(bmc);
  bmc
    .command('scan')
    .argument('<cidr>', 'a network that was named with `bootstrap --bmc-network`: 198.51.100.0/24')
    .option('--credentials <file>', 'what to try: a list of {username, password} in YAML or JSON, four at most')
    .description('find BMCs by IPMI and Redfish, and which credentials open them; they become candidates')
    .action(
      action(async (session, cidr: string, flags: { credentials?: string }) => {
        const credentials = flags.credentials === undefined ? [] : credentialsIn(flags.credentials);
        const cloud = await session.cloud();
        session.output.progress(`Asking every address of ${cidr} for a BMC …`);
        const { body } = await asInput(
          cloud.request<{ bmcs: Found[] }>('POST', 'undercloud-boot', '/v1/bmc-scans', { body: { cidr, credentials } }),
        );
        session.output.result(body.bmcs, () =>
          body.bmcs.length === 0
            ? `No BMC answers in ${cidr}.`
            : table(
                ['candidate', 'BMC', 'speaks', 'is', 'user', ''],
                body.bmcs.map((one) => [
                  one.candidate.slice(0, 8),
                  one.address,
                  spoken(one),
                  [one.vendor, one.product].filter(Boolean).join(' ') || '?',
                  one.username,
                  one.refusal ?? (one.username === null ? 'no credentials were tried' : ' '),
                ]),
              ),
        );
        return undefined;
      }),
    );
}
