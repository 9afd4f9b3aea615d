// OpenIPMI's ipmi_sim on loopback, with a machine of two files and a serial port that answers in capitals: a stranger as BMC.

import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket as LineSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

async function freePort(): Promise<number> {
  const probe = createSocket('udp4');
  probe.bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Configuration that works; what is needed for it was learnt from OpenIPMI 2.0.33: a guid for RMCP+, C notation of numbers, -p. */
const lanConf = (port: number, hook: string, serialPort: number) => `name "judge"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 ${port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid 4c4c4544000040008000000000000003
  endlan
  chassis_control "${hook}"
  sol "tcp:127.0.0.1:${serialPort}" 115200
  startnow false
  user 1 false "" "test" user 10 none md2 md5 straight
  user 2 true "admin" "secret" admin 10 none md2 md5 straight
`;

const EMULATOR = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
sel_add 0x20 0x02 0x00 0x00 0x00 0x60 0x20 0x00 0x04 0x01 0x01 0x01 0x57 0x70 0x60
sensor_add 0x20 0 1 0x01 0x01
sensor_set_value 0x20 0 1 0x60 0
sensor_set_threshold 0x20 0 1 settable 111000 0xa0 0x90 0x70 00 00 00
sensor_set_event_support 0x20 0 1 enable scanning per-state 000111111000000 000111111000000 000111111000000 000111111000000
main_sdr_add 0x20 0x00 0x00 0x51 0x01 0x33 0x20 0x00 0x01 0x03 0x01 0x7f 0x68 0x01 0x01 0x80 0x0a 0x80 0x0a 0x3f 0x3f 0x80 0x01 0x00 0x00 0x01 0x00 0x00 0x00 0x00 0x00 0x00 0x60 0xa0 0x00 0xff 0x00 0xa0 0x90 0x70 0x00 0x00 0x00 0x02 0x02 0x00 0x00 0x00 0xc8 0x43 0x50 0x55 0x20 0x54 0x65 0x6d 0x70
mc_enable 0x20
`;

/** The simulator's machine: two files. popen() passes its sockets on; a script that ends at once may keep them. */
const HOOK = `#!/bin/sh
d=$(dirname "$0"); op=$1; shift
echo "$op $*" >> $d/log
if [ $op = get ]; then
  for what in "$@"; do case $what in
    power) echo "power:$(cat $d/power 2>/dev/null || echo 0)";;
    boot) echo "boot:$(cat $d/boot 2>/dev/null || echo default)";;
  esac; done
else
  while [ -n "$1" ]; do case $1 in power) echo $2 > $d/power;; boot) echo $2 > $d/boot;; esac; shift 2; done
fi
`;

export interface IpmiSim {
  /** On 127.0.0.1; user `admin`, password `secret`. */
  readonly port: number;
  /** Files that its chassis hook keeps: `power`, `boot`, `log`. */
  readonly room: string;
  start(): Promise<void>;
  /** Ends the process; `start` begins anew. */
  kill(): Promise<void>;
  close(): void;
}

export async function startIpmiSim(): Promise<IpmiSim> {
  const room = mkdtempSync(join(tmpdir(), 'ipmi-'));
  const port = await freePort();
  const hook = join(room, 'chassis.sh');
  writeFileSync(hook, HOOK, { mode: 0o755 });
  const lines: LineSocket[] = [];
  // The machine's serial port: a TCP server that repeats what it hears in capitals.
  const serial = createServer((line) => {
    line.on('data', (bytes) => line.write(bytes.toString().toUpperCase()));
    line.on('error', () => line.destroy());
    lines.push(line);
  });
  serial.listen(0, '127.0.0.1');
  await once(serial, 'listening');
  writeFileSync(join(room, 'lan.conf'), lanConf(port, hook, (serial.address() as AddressInfo).port));
  writeFileSync(join(room, 'bmc.emu'), EMULATOR);
  mkdirSync(join(room, 'state'));
  let simulator: ChildProcess;
  const start = async () => {
    const args = ['-n', '-p', '-c', join(room, 'lan.conf'), '-f', join(room, 'bmc.emu'), '-s', join(room, 'state')];
    simulator = spawn('ipmi_sim', args, { stdio: 'ignore' });
    await once(simulator, 'spawn');
  };
  await start();
  return {
    port,
    room,
    start,
    async kill() {
      const gone = once(simulator, 'exit');
      simulator.kill('SIGKILL');
      await gone;
    },
    close() {
      simulator.kill();
      for (const line of lines) line.destroy();
      serial.close();
      rmSync(room, { recursive: true, force: true });
    },
  };
}
