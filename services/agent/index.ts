/** Front door of the agent, for tests of everything that talks to one. The ramdisk is built from main.ts and what it imports. */
export { AGENT_VERSION, type Agent, type AgentOptions, type AgentTiming, createAgent } from './agent.ts';
export type { Disk, EfiEntry, Hardware, LoadedKernel } from './hardware.ts';
export { createSimulatedHardware, type MachineEnd, type SimulatedOptions } from './simulated.ts';
