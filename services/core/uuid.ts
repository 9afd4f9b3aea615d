/** RFC 9562 §4: the text form of a UUID, in either case. */
const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** PostgreSQL refuses a whole statement for one identifier that is none, so what a client sent is looked at first. */
export const isUuid = (text: string): boolean => pattern.test(text);
