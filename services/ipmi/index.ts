// The front door of the IPMI protocol room. Console side: `createIpmiTransport`. BMC side: `createBmcSession`. The codec itself
// (packets, messages, keys) is exported for tests and tools that read captures.

export type { BmcOptions, BmcReply, BmcSession, BmcSessionInfo, BmcUserAccount } from './bmc.ts';
export { createBmcSession } from './bmc.ts';
export type { Ask, AskOptions } from './commands/ask.ts';
export {
  BOOT_DEVICES,
  type BootDevice,
  type BootOptions,
  type BootOutcome,
  type BootState,
  parseBootFlags,
} from './commands/boot.ts';
export { type ChassisStatus, POWER_ACTIONS, type PowerAction, type PowerPolicy } from './commands/chassis.ts';
export type { DeviceId, Guid } from './commands/device.ts';
export { crossedNames, describeSelEntry, type EventText, SENSOR_TYPES, stateNames } from './commands/event-text.ts';
export { type Fru, type FruArea, parseFru } from './commands/fru.ts';
export type { LanParams, SolConfig } from './commands/lan.ts';
export {
  type FruLocator,
  parseFruLocator,
  parseSensorRecord,
  parseSensorRecords,
  type SdrRecord,
  type SensorRecord,
} from './commands/sdr.ts';
export { parseSelEntry, type SelEntry, type SelInfo } from './commands/sel.ts';
export type { Sensor, SensorHealth, Thresholds } from './commands/sensor.ts';
export type { BmcUser } from './commands/users.ts';
export type { Watchdog } from './commands/watchdog.ts';
export type { SolOptions, SolStream } from './console.ts';
export { COMPLETION_CODES, IPMI_ERRORS, IpmiError, type IpmiErrorCode, RAKP_STATUS } from './errors.ts';
export { PRIVILEGE, type Privilege } from './handshake.ts';
export type { CommandOptions } from './link.ts';
export {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type IpmiRequest,
  type IpmiResponse,
} from './message.ts';
export { commandName } from './names.ts';
export type { Remembered } from './open.ts';
export { QUIRK_TABLE, type Quirks, quirksOf } from './quirks.ts';
export type { CallOptions, Exchange, Timers } from './requests.ts';
export { decodePacket, encodePing, encodePong, PAYLOAD, type Packet, RMCP_PORT } from './rmcp.ts';
export { IpmiSession, type SessionFacts } from './session.ts';
export { decodeSol, encodeSol, SOL_OPS, SOL_STATUS, SolEnd, type SolPacket, type SolSteps } from './sol.ts';
export { CIPHER_SUITES, DEFAULT_SUITES } from './suites.ts';
export {
  createIpmiTransport,
  type IpmiSocket,
  type IpmiTransport,
  openIpmiSocket,
  type Ping,
  type SessionOptions,
  type TransportOptions,
} from './transport.ts';
export { vendorOf } from './vendors.ts';
