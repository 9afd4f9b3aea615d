alter table image.images drop constraint images_status_check;
alter table image.images add constraint images_status_check check
  (status in ('queued', 'uploading', 'importing', 'saving', 'active', 'killed', 'deactivated'));

-- The raw disk that is within the image's stream, as chunks: made by conversion, read by deploys. Where the stream itself is
-- a raw disk the chunks take its place (chunk_index_sha256).
alter table image.images add column disk_index_sha256 text;

-- Projects beside the owner that a shared image is offered to.
create table image.members (
  image_id uuid not null references image.images (id) on delete cascade,
  member text not null,
  status text not null check (status in ('pending', 'accepted', 'rejected')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (image_id, member)
);
create index members_by_project on image.members (member, status);

-- Where each stored chunk of a converted image lies, so that the next one stores only what is new.
create table image.chunks (
  sha256 bytea primary key,
  object text not null,
  place bigint not null,
  length int not null
);
create index chunks_by_object on image.chunks (object);
create index images_by_owner on image.images (owner);
