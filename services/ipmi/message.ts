// The IPMI LAN message inside a packet (IPMI 2.0 section 13.8): two addresses, a sequence number, command, data, two checksums.

/** Slave address of the BMC and software id of a remote console (IPMI 2.0 table 5-4). */
export const BMC_ADDRESS = 0x20;
export const CONSOLE_ADDRESS = 0x81;

export interface IpmiRequest {
  netfn: number;
  lun: number;
  cmd: number;
  /** 0 to 63, chosen by the requester; a retransmission repeats it. */
  rqSeq: number;
  rsAddr: number;
  rqAddr: number;
  rqLun: number;
  data: Buffer;
}

export interface IpmiResponse {
  /** Network function of the response: the request's plus one. */
  netfn: number;
  cmd: number;
  rqSeq: number;
  completionCode: number;
  /** What follows the completion code. */
  data: Buffer;
}

/** Two's complement checksum of bytes [from, to). */
function checksum(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += bytes[i]!;
  return -sum & 0xff;
}

/** Size of the message that `writeRequest` writes for `dataLength` bytes of data. */
export const REQUEST_OVERHEAD = 7;

/** Writes a request at `offset`; the caller sees to the room. Returns the offset after it. */
export function writeRequest(
  into: Uint8Array,
  offset: number,
  netfn: number,
  cmd: number,
  rqSeq: number,
  data: Uint8Array,
  lun = 0,
): number {
  into[offset] = BMC_ADDRESS;
  into[offset + 1] = (netfn << 2) | lun;
  into[offset + 2] = -(BMC_ADDRESS + ((netfn << 2) | lun)) & 0xff;
  into[offset + 3] = CONSOLE_ADDRESS;
  into[offset + 4] = rqSeq << 2;
  into[offset + 5] = cmd;
  for (let i = 0; i < data.length; i++) into[offset + 6 + i] = data[i]!;
  const end = offset + 6 + data.length;
  into[end] = checksum(into, offset + 3, end);
  return end + 1;
}

export function encodeRequest(netfn: number, cmd: number, rqSeq: number, data: Uint8Array, lun = 0): Buffer {
  const message = Buffer.allocUnsafe(REQUEST_OVERHEAD + data.length);
  writeRequest(message, 0, netfn, cmd, rqSeq, data, lun);
  return message;
}

/** Undefined for anything whose length or checksums are wrong. */
export function decodeRequest(message: Buffer): IpmiRequest | undefined {
  const end = message.length - 1;
  if (message.length < REQUEST_OVERHEAD || ((message[0]! + message[1]! + message[2]!) & 0xff) !== 0) return undefined;
  if (checksum(message, 3, end) !== message[end]) return undefined;
  return {
    rsAddr: message[0]!,
    netfn: message[1]! >> 2,
    lun: message[1]! & 3,
    rqAddr: message[3]!,
    rqSeq: message[4]! >> 2,
    rqLun: message[4]! & 3,
    cmd: message[5]!,
    data: message.subarray(6, end),
  };
}

/** The answer to `request`; `data` is what follows the completion code. */
export function encodeResponse(
  request: IpmiRequest,
  completionCode: number,
  data: Uint8Array = new Uint8Array(0),
): Buffer {
  const message = Buffer.allocUnsafe(8 + data.length);
  message[0] = request.rqAddr;
  message[1] = ((request.netfn | 1) << 2) | request.rqLun;
  message[2] = checksum(message, 0, 2);
  message[3] = request.rsAddr;
  message[4] = (request.rqSeq << 2) | request.lun;
  message[5] = request.cmd;
  message[6] = completionCode;
  message.set(data, 7);
  message[message.length - 1] = checksum(message, 3, message.length - 1);
  return message;
}

/** Undefined for anything whose length or checksums are wrong. */
export function decodeResponse(message: Buffer): IpmiResponse | undefined {
  const end = message.length - 1;
  if (message.length < 8 || ((message[0]! + message[1]! + message[2]!) & 0xff) !== 0) return undefined;
  if (checksum(message, 3, end) !== message[end]) return undefined;
  return {
    netfn: message[1]! >> 2,
    rqSeq: message[4]! >> 2,
    cmd: message[5]!,
    completionCode: message[6]!,
    data: message.subarray(7, end),
  };
}
