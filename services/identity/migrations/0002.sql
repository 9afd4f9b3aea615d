-- Keys of the AWS-like APIs: a user's, for one project. A signature can only be checked with the secret itself, so it is sealed.
create table identity.ec2_credentials (
  access text primary key,
  secret text not null,
  user_id text not null references identity.users (id) on delete cascade,
  project_id text not null references identity.projects (id) on delete cascade,
  created_at timestamptz not null default now()
);
create index ec2_credentials_of_user on identity.ec2_credentials (user_id);
