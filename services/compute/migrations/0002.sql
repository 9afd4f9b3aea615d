-- How a server is handed over is said by its hints and its flavor (hand-over.ts); the column was never written to by anybody.
alter table compute.servers drop column kexec;
