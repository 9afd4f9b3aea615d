-- What the undercloud vouches for when a node is given the image: the text exactly as it was signed, and its Ed25519 signature.
alter table image.images add column delivery_manifest text;
alter table image.images add column delivery_signature text;
alter table image.images add column delivery_key_id text;
