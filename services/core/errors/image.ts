import type { ErrorRow } from './index.ts';

export const imageErrors = {
  'image-not-found': {
    status: 404,
    sentence: 'No image found with ID or name {id}.',
    remedy: 'See `undercloud image list`; `undercloud image build NAME` builds and registers one.',
  },
  'image-ambiguous': {
    status: 409,
    sentence: 'More than one image is named “{name}”.',
    remedy: 'Give its id instead.',
  },
  'image-invalid': { status: 400, sentence: 'The image is refused: {reason}', remedy: '' },
  'image-state-forbids': { status: 409, sentence: 'Image {id} is {status}: {action} is not possible.', remedy: '' },
  'image-protected': {
    status: 403,
    sentence: 'Image {id} is protected and cannot be deleted.',
    remedy: 'Unset it first: `openstack image set --unprotected {id}`.',
  },
  'image-no-metadefs': {
    status: 403,
    sentence: 'Metadata definitions are not kept here: an image takes any property.',
    remedy: 'Set it: openstack image set --property NAME=VALUE IMAGE',
  },
  'image-in-use': { status: 409, sentence: 'Image {id} is in use: {by}.', remedy: 'Delete what uses it first.' },
  'image-without-data': {
    status: 404,
    sentence: 'Image {id} has no data yet.',
    remedy: 'Upload it: `openstack image set --file FILE {id}`.',
  },
  'image-deactivated': {
    status: 403,
    sentence: 'Image {id} is deactivated: its bytes are withheld.',
    remedy: 'An administrator gives them back: `openstack image set --activate {id}`.',
  },
  'image-incomplete': {
    status: 409,
    sentence: 'Image {id} cannot become active: the object {object} was not uploaded.',
    remedy: 'Register it again; what is there already is not sent twice.',
  },
  'image-checksum': {
    status: 400,
    sentence: 'What was uploaded as {what} has sha256 {actual}, not {expected}.',
    remedy: 'Upload it again; if it fails again, the file is damaged: build it anew.',
  },
  'image-upload-broken': {
    status: 400,
    sentence: 'The upload broke off before its end: {reason}.',
    remedy: 'Nothing of it was kept; send it again.',
  },
  'image-format': {
    status: 400,
    sentence: 'Image {id} has disk format {format}, which cannot be written to a node.',
    remedy: 'Convert it: `qemu-img convert -O raw FILE FILE.raw`.',
  },
  'image-quota': {
    status: 413,
    sentence: 'Project {project} may have {limit} {what} and has {used}.',
    remedy: 'Delete what is not needed any more (`undercloud image list`), or raise the limits in undercloud.json.',
  },
  'image-not-shared': {
    status: 403,
    sentence: 'Image {id} is {visibility}; only a shared image has members.',
    remedy: 'Make it so first: `openstack image set --shared {id}`.',
  },
  'image-member-there': { status: 409, sentence: 'Image {id} is shared with {member} already.', remedy: '' },
  'image-import-refused': {
    status: 400,
    sentence: 'Image {id} cannot be imported by {method}: {reason}',
    remedy:
      'See `openstack image import --help`; `imageImportHosts` in undercloud.json names where images may come from.',
  },
  'image-fetch': {
    status: 502,
    sentence: 'Image {id} could not be fetched from {url}: {reason}',
    remedy: 'Start the import again when it can: `openstack image import`.',
  },
  'image-convert': {
    status: 409,
    sentence: 'Image {id} could not be converted to a raw disk: {reason}',
    remedy:
      'Check it with `qemu-img check FILE`, convert it with `qemu-img convert -O raw FILE DISK`, and upload that.',
  },
  'image-converting': {
    status: 409,
    sentence: 'Image {id} is still being converted to a raw disk.',
    remedy: 'It takes some seconds a GiB; see `undercloud image show {id}`.',
  },
  'image-not-converted': {
    status: 409,
    sentence: 'Image {id} was not converted to a raw disk: {reason}',
    remedy: 'Delete it and upload it again, best as raw.',
  },
  'image-unsigned': {
    status: 409,
    sentence: 'Image {id} is not signed by this undercloud, and no node would write it.',
    remedy:
      'Start the undercloud anew, which signs what an earlier release left unsigned, or register the image again.',
  },
  'image-link-refused': {
    status: 403,
    sentence: 'The link to {what} is not valid: {reason}.',
    remedy: 'Links are made for one deploy and expire; start the deploy again.',
  },
  'blob-store': {
    status: 503,
    sentence: 'The image store could not {action} {key}: {reason}',
    remedy: 'See `undercloud doctor`; the disk may be full or the object store away.',
  },
  'object-store-refused': {
    status: 503,
    sentence: 'The object store at {endpoint} would not {action} {key} in bucket {bucket}: {reason}',
    remedy: 'Look at `s3` in undercloud.json: endpoint, region, bucket, accessKey, secretKey.',
  },
  'object-store-away': {
    status: 503,
    sentence: 'The object store at {endpoint} could not be reached to {action} {key} in bucket {bucket}: {reason}',
    remedy: 'Do it again when the store answers: `curl {endpoint}`.',
  },
} as const satisfies Record<string, ErrorRow>;
