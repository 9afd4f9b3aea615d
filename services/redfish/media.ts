// Virtual media (DSP0268 VirtualMedia), at the system where newer firmware has it, else at the managers: by action, by PATCH where
// there is none (Lenovo), with the parameters that one vendor wants and another refuses added as its answer asks for them.
import type { AskOptions, RedfishClient } from './client.ts';
import { RedfishError } from './errors.ts';
import type { Found } from './find.ts';
import type { RedfishQuirks } from './quirks.ts';
import { type Action, actionOf, lastOf, linkOf, pathOf, type Resource, text, texts } from './resource.ts';

export interface RedfishMedia {
  readonly id: string;
  readonly path: string;
  /** `CD`, `DVD`, `USBStick`, `Floppy`. */
  readonly types: readonly string[];
  readonly image: string | null;
  readonly inserted: boolean;
  readonly insert: Action | null;
  readonly eject: Action | null;
}

function mediaOf(json: Resource): RedfishMedia | null {
  const path = pathOf(json['@odata.id']);
  if (path === null) return null;
  const image = text(json.Image) ?? text(json.ImageName);
  return {
    id: text(json.Id) ?? lastOf(path),
    path,
    types: texts(json.MediaTypes),
    // Some leave the name of what was there last.
    image: json.Inserted === false ? null : image,
    inserted: json.Inserted === true || (json.Inserted === undefined && image !== null),
    insert: actionOf(json, 'VirtualMedia.InsertMedia', 'TransferProtocolType'),
    eject: actionOf(json, 'VirtualMedia.EjectMedia', 'Image'),
  };
}

/** All slots. @throws RedfishError not-supported when there are none */
export async function mediaSlots(client: RedfishClient, found: Found, options: AskOptions): Promise<RedfishMedia[]> {
  const owners = [found.system, ...found.managers];
  for (const owner of owners) {
    const collection = linkOf((await client.get(owner, options)).json.VirtualMedia);
    if (collection === null) continue;
    const slots = (await client.members(collection, options)).flatMap((json) => mediaOf(json) ?? []);
    if (slots.length > 0) return slots;
  }
  throw new RedfishError('not-supported', 'it has no virtual media');
}

const takesCd = ({ types }: RedfishMedia): boolean => types.some((type) => type === 'CD' || type === 'DVD');

/** The slot of this id, else the best one for a CD: one with an action, and free. */
export function chooseSlot(
  slots: readonly RedfishMedia[],
  id: string | undefined,
  quirks: RedfishQuirks,
): RedfishMedia {
  const names = slots.map((slot) => slot.id);
  if (id !== undefined) {
    const named = slots.find((slot) => slot.id === id);
    if (named) return named;
    throw new RedfishError('bad-argument', `there is no slot ${id} for virtual media, only ${names.join(', ')}`, {
      known: names,
    });
  }
  const { mediaNot } = quirks;
  const fit = slots.filter((slot) => takesCd(slot) && !mediaNot?.test(slot.id));
  const score = (slot: RedfishMedia) => (slot.insert ? 2 : 0) + (slot.inserted ? 0 : 1);
  const [best] = [...fit].sort((a, b) => score(b) - score(a));
  if (best) return best;
  throw new RedfishError('not-supported', `none of its slots for virtual media (${names.join(', ')}) takes a CD`);
}

const mentions = (error: RedfishError, name: string): boolean =>
  error.fault.includes(name) || error.messageIds.some((id) => id.includes(name));

const most = 5;
const looks = 10;

export async function insertMedia(
  client: RedfishClient,
  slot: RedfishMedia,
  image: string,
  quirks: RedfishQuirks,
  options: AskOptions & { readonly pause?: (signal?: AbortSignal) => Promise<void> },
): Promise<void> {
  if (!/^(https?|nfs|cifs|smb):\/\/\S{1,2000}$/i.test(image))
    throw new RedfishError('bad-argument', 'the image is no URL that begins with http://, https://, nfs:// or cifs://');
  // What is in the drive has to come out first: Supermicro refuses, others ignore the new image.
  if (slot.inserted && slot.image !== image) await ejectMedia(client, slot, options);
  const body: Record<string, unknown> = { Image: image };
  try {
    if (slot.insert) await insertByAction(client, slot.insert.target, body, options);
    else await client.patch(slot.path, { ...body, Inserted: true, ...writeProtected(quirks) }, options);
  } catch (error) {
    if (error instanceof RedfishError && ['refused', 'task-failed', 'not-supported', 'uncertain'].includes(error.code))
      throw new RedfishError('media-refused', `slot ${slot.id} refuses the image: ${error.fault}`, {
        messageIds: error.messageIds,
        ...(error.status !== undefined && { status: error.status }),
      });
    throw error;
  }
  for (let look = 0; look < looks; look++) {
    const now = mediaOf((await client.get(slot.path, options)).json);
    if (now?.inserted) return;
    await options.pause?.(options.signal);
  }
  throw new RedfishError('media-refused', `slot ${slot.id} took the image and stays empty`);
}

const writeProtected = (quirks: RedfishQuirks): Resource =>
  quirks.mediaWithout?.includes('WriteProtected') ? {} : { WriteProtected: true };

async function insertByAction(
  client: RedfishClient,
  target: string,
  body: Record<string, unknown>,
  options: AskOptions,
) {
  for (let tries = 0; tries < most; tries++) {
    try {
      await client.post(target, body, options);
      return;
    } catch (error) {
      if (!(error instanceof RedfishError) || error.code !== 'refused') throw error;
      // Each asked for at most once; a refusal that names none of them is final.
      const scheme = String(body.Image).split(':')[0]?.toUpperCase() ?? 'HTTP';
      if (!('TransferProtocolType' in body) && mentions(error, 'TransferProtocolType'))
        body.TransferProtocolType = scheme;
      else if (!('TransferMethod' in body) && mentions(error, 'TransferMethod')) body.TransferMethod = 'Stream';
      // NVIDIA DGX wants a user for an image that has none (known from OpenStack’s client).
      else if (!('UserName' in body) && (mentions(error, 'UserName') || mentions(error, 'parameter Password'))) {
        body.UserName = 'none';
        body.Password = 'none';
      } else throw error;
    }
  }
}

export async function ejectMedia(client: RedfishClient, slot: RedfishMedia, options: AskOptions): Promise<void> {
  try {
    if (slot.eject) await client.post(slot.eject.target, {}, options);
    else await client.patch(slot.path, { Image: null, Inserted: false }, options);
  } catch (error) {
    if (!(error instanceof RedfishError) || error.code === 'aborted' || error.code === 'closed') throw error;
    // An empty drive is what was wanted, however the BMC calls it.
    const now = mediaOf((await client.get(slot.path, options)).json);
    if (now?.inserted) throw error;
  }
}
