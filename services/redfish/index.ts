// The front door of the Redfish protocol room. Console side: `RedfishBmc` (one machine) over `RedfishClient` (one service). BMC side:
// `createRedfishMockup`, with vendors' ways as data. What is pure is exported for tests and tools that read captures.

export type { AccountService, RedfishAccount, SerialConsoleWay } from './account.ts';
export { describeService, RedfishBmc, type RedfishBmcOptions } from './bmc.ts';
export { type BootOverride, type BootState, type BootTarget, bootAttempts, bootStateOf, judgeBoot } from './boot.ts';
export type { BootOutcome } from './boot-override.ts';
export { type Answer, type AskOptions, type ClientOptions, type Exchange, originOf, RedfishClient } from './client.ts';
export { REDFISH_ERRORS, RedfishError, type RedfishErrorCode } from './errors.ts';
export { cleanEtag, ifMatchForms } from './etag.ts';
export type { RedfishLogEntry } from './event-log.ts';
export { EventSplitter, eventsOf, type RedfishEvent, subscribe, tellsOfPower } from './events.ts';
export type { Found } from './find.ts';
export type { RedfishFirmware, RedfishInventory, RedfishPart } from './inventory.ts';
export type { AuthType } from './login.ts';
export type { RedfishMedia } from './media.ts';
export { type Message, messagesOf, saidIn } from './message.ts';
export { createRedfishMockup, type Mockup, type MockupRequest } from './mockup.ts';
export type { MockupAnswer } from './mockup-errors.ts';
export type { MockupFaults } from './mockup-faults.ts';
export { type MockupFlavour, type MockupFlavourName, mockupFlavours } from './mockup-flavour.ts';
export type {
  MockupAccount,
  MockupBoot,
  MockupLogEntry,
  MockupMachine,
  MockupSensor,
} from './mockup-machine.ts';
export { type RedfishQuirks, redfishQuirks, redfishQuirkTable } from './quirks.ts';
export { type Power, powerOf, type ResetGoal, resetGoals, resetType, resetWays } from './reset.ts';
export type { RedfishHealth, RedfishSensor, RedfishSensorKind } from './sensor.ts';
export { lookAtTask, monitorOf, retryAfterMs } from './task.ts';
