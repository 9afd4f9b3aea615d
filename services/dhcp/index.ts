/** The front door of the DHCP room: codec, engine, serving, router advertisements. */
export { formatAddress, formatMac, normaliseMac, parseAddress, parseCidr } from './address.ts';
export type { ClientClass } from './client-class.ts';
export { readGuid, writeGuid } from './client-class.ts';
export type { DatagramPort } from './datagrams.ts';
export { describePacket } from './describe.ts';
export type { DeskNotice } from './desk.ts';
export { readEncapsulated, writeEncapsulated } from './encapsulated.ts';
export { DhcpEngine, type EngineConfig } from './engine.ts';
export type {
  Arrival,
  BootAnswer,
  BootFor,
  BootQuery,
  Deciding,
  Decision,
  ExchangeRecord,
  Outcome,
  RequestState,
} from './exchange.ts';
export { type ConformanceFrame, leaseStoreConformance } from './lease.conformance.ts';
export type { Binding, BindingState, LeaseStore } from './lease.ts';
export { bindingKey } from './lease.ts';
export { MemoryLeaseStore } from './lease-memory.ts';
export { MESSAGE, MESSAGE_NAMES, type MessageName, OPTION, OPTION_TABLE } from './option-table.ts';
export {
  addressesValue,
  addressValue,
  describeOption,
  terminatedText,
  textValue,
  u16Value,
  u32Value,
} from './option-values.ts';
export type { OptionMap } from './options.ts';
export {
  BOOTREPLY,
  BOOTREQUEST,
  type Decoded,
  type DhcpPacket,
  decodePacket,
  type Encoded,
  encodePacket,
} from './packet.ts';
export {
  type Advertising,
  type AdvertisingOptions,
  advertise,
  readSolicitation,
  routerAdvertisement,
  type Solicitation,
} from './ra.ts';
export type { Reservation, Reservations } from './reservation.ts';
export { type Route, readRoutes, route, writeRoutes } from './routes.ts';
export {
  DHCP_LIMITS,
  type DhcpEvent,
  type DhcpLimits,
  type DhcpServing,
  type ServeDhcpOptions,
  serveDhcp,
} from './serve.ts';
export type { OptionOverrides, ServingMode, SubnetConfig } from './subnet.ts';
