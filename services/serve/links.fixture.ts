/**
 * Plays the supervisor inside a network namespace: `links.fixture.ts STATE`. Opens the sockets of every provisioning interface that the
 * configuration names, and hands them to a `serve` as the real one does. Ends with its stdin.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { readConfig } from '../core/config.ts';
import { openProvisioningSockets } from '../core/sockets.ts';
import { bootPort, handOver, metadataAddress, metadataPort } from './descriptors.ts';

const stateDir = process.argv[2] ?? '';
const { provisioning } = readConfig(stateDir);
if (!provisioning) throw new Error('the configuration names no provisioning interface');
const openOn = (device: string) =>
  openProvisioningSockets({
    interface: device,
    address: provisioning.address,
    apiPort: 6385,
    bootPort,
    metadata: { address: metadataAddress, port: metadataPort },
    dns: provisioning.domain !== undefined,
  });
const [first, ...further] = [provisioning, ...(provisioning.further ?? [])].map((link) => openOn(link.interface));
const { numbers, handed } = handOver({ ...first, further });
// `serve` opens the host's own listener by itself.
const child = spawn(
  process.execPath,
  [join(import.meta.dirname, 'main.ts'), '--state', stateDir, '--sockets', JSON.stringify(numbers)],
  { stdio: ['ignore', 'inherit', 'inherit', ...handed] },
);
child.on('exit', (code) => process.exit(code ?? 1));
process.stdin.on('end', () => child.kill('SIGTERM')).resume();
