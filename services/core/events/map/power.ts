// biome-ignore lint/suspicious/noEmptyInterface: filled by the service that owns it
export interface PowerEvents {}
