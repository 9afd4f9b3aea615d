/** Keeps an upload's head and tail while its bytes pass, and judges it as early as its head allows. */
import { fault } from '../../core/errors/index.ts';
import { headBytes, inspect, type Sample, tailBytes } from './index.ts';

export interface Sampling {
  /** @throws Fault `image-invalid` as soon as the head shows why */
  take(piece: Buffer): void;
  /** When all bytes have passed: bytes of the disk within, null where there is none. @throws Fault `image-invalid` */
  end(): number | null;
}

/** @param declared Glance's disk_format of the image */
export function sampling(declared: string): Sampling {
  const parts: Buffer[] = [];
  let head = Buffer.alloc(0);
  let kept = 0;
  let tail = Buffer.alloc(0);
  let size = 0;
  const judge = (sample: Sample) => {
    try {
      return inspect(declared, sample);
    } catch (error) {
      throw fault('image-invalid', { reason: (error as Error).message }, error);
    }
  };
  const closeHead = () => {
    head = Buffer.concat(parts);
    parts.length = 0;
  };
  return {
    take(piece) {
      size += piece.length;
      if (kept < headBytes) {
        parts.push(Buffer.from(piece.subarray(0, headBytes - kept)));
        kept += Math.min(piece.length, headBytes - kept);
        if (kept === headBytes) {
          closeHead();
          // A fixed VHD is known by its last sector, so it cannot be missed before the end.
          if (declared !== 'vhd') judge({ head, tail: Buffer.alloc(0), size: null });
        }
      }
      tail =
        piece.length >= tailBytes
          ? Buffer.from(piece.subarray(-tailBytes))
          : Buffer.concat([tail, piece]).subarray(-tailBytes);
    },
    end() {
      if (parts.length > 0) closeHead();
      return judge({ head, tail, size });
    },
  };
}
