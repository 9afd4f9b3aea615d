import { appendFileSync } from 'node:fs';
import { fault } from '../core/errors/index.ts';
import { BmcProcess } from './bmc.ts';
import { applySettings, openControl } from './control.ts';
import { type BmcKind, readDescription } from './description.ts';
import { labLayout } from './layout.ts';
import { speakLldp } from './lldp.ts';
import { Machine } from './machine.ts';
import { OwnBmcs } from './own-bmcs.ts';
import { identify, isAlive, readRecord, removeRecord, writeRecord } from './processes.ts';
import { reason } from './thrown.ts';

/**
 * The owner of the lab's machines: one process inside the lab's namespace, started by `lab up`, that starts and ends the QEMUs, is the
 * BMCs itself or keeps ipmi_sim running and does what its hook asks. It may die or be ended by SIGTERM at any moment: the machines go on, and the next
 * owner (`lab up` again) finds them. Only `stop` powers them off.
 */
async function own(stateDir: string): Promise<void> {
  const lab = labLayout(stateDir);
  const log = (line: string) => appendFileSync(lab.log, `${new Date().toISOString()} ${line}\n`);
  const self = identify(process.pid);
  const other = readRecord(lab.ownerRecord);
  if (!self) throw new Error('This process is not in /proc; the lab needs /proc mounted.');
  if (other && other.pid !== self.pid && isAlive(other))
    throw fault('lab-owned', { pid: other.pid, directory: lab.directory });
  writeRecord(lab.ownerRecord, self);

  const machines = new Map<string, Machine>();
  const simulator = new BmcProcess(lab, log);
  const ours = new OwnBmcs(lab, log);
  const bridge = speakLldp(log);

  const load = async (): Promise<void> => {
    const description = readDescription(stateDir);
    if (!description) throw fault('lab-absent', { directory: lab.directory });
    const added = description.nodes.filter((node) => !machines.has(node.name));
    await Promise.all(
      added.map(async (node) => {
        const machine = new Machine(node, lab.node(node.name), description.acceleration, log);
        await machine.adopt();
        machines.set(node.name, machine);
      }),
    );
    bridge.speakTo(description.nodes);
    const kind: BmcKind = description.bmcs ?? 'ipmi_sim';
    // Both would want the same ports: the other kind goes first.
    if (kind === 'own') {
      await simulator.pause();
      await ours.serve(description, machines);
    } else {
      ours.stop();
      await simulator.serve(description);
    }
  };

  // A line that changes who is there waits for the one before it; lines for machines have their own order in each machine.
  let last: Promise<unknown> = load();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  };

  const leave = async (): Promise<void> => {
    bridge.stop();
    ours.stop();
    await simulator.stop();
    for (const machine of machines.values()) machine.release();
    removeRecord(lab.ownerRecord);
  };

  const answer = async (words: string[]): Promise<void> => {
    const [first = '', second, ...rest] = words;
    if (first === 'ping') return;
    if (first === 'reload') return inTurn(load);
    if (first === 'stop') {
      return inTurn(async () => {
        await Promise.all([...machines.values()].map((machine) => machine.powerOff()));
        await leave();
        log('stopped');
        // After the answer has left.
        setImmediate(() => setImmediate(() => process.exit(0)));
      });
    }
    const machine = machines.get(first);
    if (machine && second === 'fault') {
      if (!ours.fault(first, rest)) throw fault('lab-fault-simulator', { node: first });
      log(`${first}: BMC faults ${rest.join(' ')}`);
      return;
    }
    if (!machine || second !== 'set') throw fault('lab-question', { question: words.join(' ') });
    try {
      await applySettings(machine, rest);
    } catch (thrown) {
      log(reason(thrown));
      throw thrown;
    }
  };

  await last;
  await openControl(lab.control, answer);
  log(`process ${process.pid} owns ${machines.size} machine${machines.size === 1 ? '' : 's'}`);
  process.on('SIGTERM', () => {
    leave().then(() => process.exit(0));
  });
}

const [stateDir] = process.argv.slice(2);
if (stateDir === undefined)
  throw new Error('The owner of the machines is started by `undercloud lab up`, with the state directory.');
own(stateDir).catch((thrown: unknown) => {
  console.error(reason(thrown));
  process.exit(1);
});
