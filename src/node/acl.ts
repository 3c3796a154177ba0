import { Perms } from '../model/codes.ts';
import type { Acl } from '../model/records.ts';

/** Every digest identity of the session that creates the znode may do everything, nobody else anything. */
export const CREATOR_ALL_ACL: readonly Acl[] = Object.freeze([Object.freeze({ perms: Perms.ALL, scheme: 'auth', id: '' })]);
