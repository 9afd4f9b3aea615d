/** Making a lab node's BMC go wrong while it runs. */
import { fault } from '../core/errors/index.ts';
import { changedFaults, faultWords } from './bmc-faults.ts';
import { askOwner } from './control.ts';
import { readDescription } from './description.ts';
import { labLayout } from './layout.ts';
import { faultsOf } from './own-bmcs.ts';

/**
 * Changes the faults of a node's BMC by words such as `loss=0.1`, `boot=ignores`, `none`; returns those that it has now. No words: tells only.
 * @throws Fault `lab-absent`, `lab-no-node`, `lab-fault`, `lab-fault-simulator`, `lab-no-owner`
 */
export async function labFault(stateDir: string, name: string, words: readonly string[]): Promise<string[]> {
  const lab = labLayout(stateDir);
  const description = readDescription(stateDir);
  if (!description) throw fault('lab-absent', { directory: lab.directory });
  const node = description.nodes.find((one) => one.name === name);
  if (!node) throw fault('lab-no-node', { node: name, nodes: description.nodes.map((one) => one.name).join(', ') });
  if (description.bmcs !== 'own') throw fault('lab-fault-simulator', { node: name });
  // Refused here with its own sentence before anybody is asked.
  const wanted = changedFaults(name, faultsOf(lab, node, description.bmcFaults), words);
  if (words.length > 0 && !(await askOwner(lab.control, `${name} fault ${words.join(' ')}`, 10_000)))
    throw fault('lab-owner-absent', {});
  return faultWords(wanted);
}
