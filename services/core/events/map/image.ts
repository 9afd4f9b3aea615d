export interface ImageEvents {
  'image.created': { name: string | null };
  /** The image has all its bytes and may be deployed. */
  'image.active': { name: string | null; size: number; chunks: number | null };
  'image.deleted': { name: string | null };
}
