/** The front door of the TFTP room: codec, transfer engine, serving, and a directory as content. */
export { TFTP_LIMITS, type TftpLimits } from './admission.ts';
export {
  bytesContent,
  isRefusal,
  type OpenContent,
  type TftpClient,
  type TftpContent,
  type TftpRefusal,
} from './content.ts';
export type { DatagramPort, TransferPort } from './datagrams.ts';
export { directoryContent, partsOf } from './directory.ts';
export { type Agreement, CAPABILITIES, type Capabilities, negotiate } from './negotiation.ts';
export {
  ERROR_CODE,
  OPCODE,
  readPacket,
  type TftpPacket,
  type TftpRead,
  type TftpRequest,
  writeAck,
  writeError,
  writeOptionAck,
  writeRequest,
} from './packet.ts';
export { RETRANSMISSION, type RetransmissionBounds } from './retransmission.ts';
export { type ServeTftpOptions, serveTftp, type TftpEvent, type TftpServing, type TransferFacts } from './serve.ts';
export type { SessionEnd } from './session.ts';
export { Transfer, type TransferPlan, type TransferStep } from './transfer.ts';
