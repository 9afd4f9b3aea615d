/** `undercloud net`: the provisioning network as it is: a capture of one machine's boot. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import { plainReason } from '../input-file.ts';
import { action } from '../program.ts';

const mostSeconds = 3600;

export function netCommands(program: Command): void {
  program
    .command('net')
    .description('the provisioning network')
    .command('capture')
    .argument('<node>', 'name or uuid, or the MAC of a machine that is no node')
    .option('--output <file>', 'where it goes (default: NODE.pcap; - is standard output)')
    .option('--seconds <n>', 'how long at most', '600')
    .description(
      'write a pcap of a node’s boot for tcpdump and Wireshark: until its agent has spoken, Ctrl-C, or the time is up',
    )
    .action(
      action(async (session, node: string, flags: { output?: string; seconds: string }) => {
        const seconds = Number(flags.seconds);
        if (!Number.isInteger(seconds) || seconds < 1 || seconds > mostSeconds)
          throw fault('usage', {
            reason: `--seconds is a whole number from 1 to ${mostSeconds}, not ${flags.seconds}.`,
          });
        const file = flags.output ?? `${node.replaceAll(/[^\w.-]/g, '-')}.pcap`;
        const cloud = await session.cloud();
        const out = file === '-' ? 1 : open(file);
        let bytes = 0;
        session.output.progress(`Capturing what ${node} says and hears; power-cycle it now.`);
        try {
          const path = `/v1/captures/${encodeURIComponent(node)}?seconds=${seconds}`;
          const sink = (part: Buffer) => {
            bytes += part.length;
            writeSync(out, part);
          };
          await cloud.request('GET', 'undercloud-boot', path, { sink });
        } catch (error) {
          // Stopped by Ctrl-C: what has come so far is a whole file.
          if (!session.interrupted.aborted || bytes === 0) throw error;
        } finally {
          if (out !== 1) closeSync(out);
        }
        if (file !== '-')
          session.output.result(
            { node, file, bytes },
            () => `${file}: ${bytes} bytes; read it with \`tcpdump -nr ${file}\`.`,
          );
        return undefined;
      }),
    );
}

function open(file: string): number {
  try {
    return openSync(file, 'w', 0o600);
  } catch (error) {
    throw fault('file-unreadable', { file, reason: plainReason(error) }, error);
  }
}
