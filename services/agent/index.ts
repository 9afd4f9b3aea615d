/** Front door of the agent: what the ramdisk's builder and tests of the deploy operation need. */
export { AGENT_VERSION, type Agent, type AgentOptions, type AgentTiming, createAgent } from './agent.ts';
export type { Disk, EfiEntry, Hardware, LoadedKernel } from './hardware.ts';
export { ramdiskFiles } from './ramdisk-files.ts';
export { createSimulatedHardware, type MachineEnd, type SimulatedOptions } from './simulated.ts';
