/** Maxima of protocol version 1. A server may be configured to allow less, never more. */

/** Characters of an envelope's `id` and of `data.key`. */
export const idCharsMax = 64;
/** Characters of a user id. */
export const userIdCharsMax = 64;
/** Characters of a tenant name. */
export const tenantCharsMax = 64;
/** Characters of a topic name. */
export const topicCharsMax = 128;
/** Characters of `event`. */
export const eventCharsMax = 128;
/** Envelopes in one client frame. */
export const envelopesPerFrameMax = 64;
/** Nesting of a client envelope, the envelope itself being 1. */
export const depthMax = 16;
/** Bytes of a token; longer ones are refused before they are parsed (reliability reference, 2.2). */
export const tokenBytesMax = 4096;
/** Conditions in one filter. */
export const filterConditionsMax = 16;
/** Messages of one page of history, and of one that does not say how many. */
export const historyPageMax = 200;
export const historyPageDefault = 50;
/** Characters of a search. */
export const searchCharsMax = 512;
/** Characters of a whole filter as JSON: it names the lane, and travels with every delivery between threads. */
export const filterCharsMax = 2048;
/** Values in one `in` or `nin` list of a filter. */
export const filterValuesMax = 64;
/** Undecodable frames in a row before the connection closes with 4502. */
export const undecodableFramesMax = 10;
/** Bytes of a close reason (RFC 6455, 5.5: a control frame holds 125, two are the code). */
export const closeReasonBytesMax = 123;
/** Time for a connection without a token to send `Auth`, milliseconds. */
export const authTimeoutMs = 10_000;
/** Users of one `PresenceSubscribe` or `PresenceQuery`. */
export const presenceUsersPerCommandMax = 200;
/** Members of a topic in one answer; a topic with more tells its members' number only, not who comes and goes. */
export const presenceMembersMax = 200;
/** Bytes of `meta` of a presence, as JSON. */
export const presenceMetaBytesMax = 1024;
/** `Typing` ends by itself after this long, milliseconds. */
export const typingMs = 10_000;
/** Longest `?batch=` that a client may ask for, milliseconds. */
export const batchMsMax = 5_000;
