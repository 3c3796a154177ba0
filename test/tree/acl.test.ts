import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Acl, Id } from '../../src/model/records.ts';
import { checkAcl, fixAcl, hideDigests, ipMatches, OPEN_ACL, parseAddress } from '../../src/tree/acl.ts';
import { AclTable, OPEN_KEY } from '../../src/tree/acl-table.ts';
import { base64, digestId, sha1 } from '../../src/tree/sha1.ts';

const acl = (scheme: string, id: string, perms = 31): Acl => ({ perms, scheme, id });

describe('digest ids', () => {
  it('are those of ZooKeeper', () => {
    expect(digestId('alice:secret')).toBe('alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=');
    expect(digestId('nocolon')).toBe(`nocolon:${createHash('sha1').update('nocolon').digest('base64')}`);
    expect(digestId('a:b:c').startsWith('a:')).toBe(true);
  });

  it('come from a right SHA-1, at every length around a block', () => {
    for (let n = 0; n <= 200; n++) {
      const text = 'é'.repeat(n % 7) + 'x'.repeat(n);
      expect(Buffer.from(sha1(text)).toString('hex'), `${n}`).toBe(createHash('sha1').update(text).digest('hex'));
    }
    for (let n = 0; n < 6; n++) expect(base64(new Uint8Array(n).fill(0xfe))).toBe(Buffer.alloc(n, 0xfe).toString('base64'));
  });
});

describe('checkAcl', () => {
  const ip: Id = { scheme: 'ip', id: '10.1.2.3' };
  const cases: [string, Acl[], number, Id[], boolean][] = [
    ['world', [acl('world', 'anyone', 1)], 1, [], true],
    ['another permission', [acl('world', 'anyone', 1)], 2, [], false],
    ['one bit of a mask', [acl('world', 'anyone', 16)], 17, [], true],
    ['an empty list', [], 31, [], true],
    ['digest', [acl('digest', 'a:x')], 1, [{ scheme: 'digest', id: 'a:x' }], true],
    ['another digest', [acl('digest', 'a:x')], 1, [{ scheme: 'digest', id: 'a:y' }], false],
    ['the same id of another scheme', [acl('digest', 'a:x')], 1, [{ scheme: 'sasl', id: 'a:x' }], false],
    ['network', [acl('ip', '10.0.0.0/8')], 1, [ip], true],
    ['another network', [acl('ip', '10.2.0.0/16')], 1, [ip], false],
    ['super', [acl('digest', 'a:x')], 31, [{ scheme: 'super', id: '' }], true],
    ['the second entry', [acl('digest', 'a:x', 1), acl('ip', '10.1.2.3', 2)], 2, [ip], true],
    ['an unknown scheme', [acl('what', 'x')], 1, [{ scheme: 'what', id: 'x' }], false],
  ];
  it.each(cases)('%s', (_, list, perm, ids, allowed) => expect(checkAcl(list, perm, ids)).toBe(allowed));
});

describe('ip', () => {
  const cases: [address: string, network: string, matches: boolean][] = [
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1', '127.0.0.2', false],
    ['10.9.9.9', '10.0.0.0/8', true],
    ['10.129.0.0', '10.128.0.0/9', true],
    ['10.127.0.0', '10.128.0.0/9', false],
    ['1.2.3.4', '9.9.9.9/0', true],
    ['fe80::1%eth0', 'fe80::/10', true],
    ['febf::1', 'fe80::/10', true],
    ['fec0::1', 'fe80::/10', false],
    ['::1', '::1', true],
    ['2001:db8:0:0:0:0:0:1', '2001:db8::1', true],
    ['::ffff:10.1.2.3', '10.0.0.0/8', true],
    ['10.1.2.3', '::/0', false],
  ];
  it.each(cases)('%s in %s: %s', (address, network, matches) => expect(ipMatches(address, network)).toBe(matches));

  it('refuses what is no address', () => {
    for (const bad of [
      '',
      '1.2.3',
      '1.2.3.256',
      '1.2.3.4.5',
      'a.b.c.d',
      '1..2.3',
      ':',
      ':::',
      '1:2',
      '1::2::3',
      '1:2:3:4:5:6:7:8:9',
      '::g',
      '::1.2.3',
      '12345::',
    ]) {
      expect(parseAddress(bad), bad).toBeNull();
    }
    for (const bad of ['1.2.3.4/33', '1.2.3.4/-1', '1.2.3.4/', '1.2.3.4/x', '::/129', '999.1.1'])
      expect(fixAcl([acl('ip', bad)], []), bad).toBeNull();
  });
});

describe('fixAcl', () => {
  it('refuses lists that are not well formed', () => {
    for (const bad of [null, [], [acl('world', 'bob')], [acl('what', 'x')], [acl('super', '')], [acl('x509', 'dn')], [acl('auth', '')]]) {
      expect(fixAcl(bad, [{ scheme: 'ip', id: '1.1.1.1' }]), JSON.stringify(bad)).toBeNull();
    }
    for (const bad of ['nocolon', 'a:', ':', 'a:b:c', '']) expect(fixAcl([acl('digest', bad)], []), bad).toBeNull();
    for (const good of ['a:b', ':b', 'a:b:', 'a:b::']) expect(fixAcl([acl('digest', good)], []), good).toHaveLength(1);
    expect(fixAcl([acl('world', 'anyone', 0)], [])).toHaveLength(1);
  });

  it('puts the own identities in the place of auth and drops repetitions', () => {
    const own: Id[] = [
      { scheme: 'ip', id: '1.1.1.1' },
      { scheme: 'digest', id: 'a:x' },
      { scheme: 'sasl', id: 's' },
    ];
    const list = [acl('auth', 'whatever', 3), acl('world', 'anyone', 1), acl('world', 'anyone', 1), acl('world', 'anyone', 2)];
    expect(fixAcl(list, own)).toEqual([acl('digest', 'a:x', 3), acl('sasl', 's', 3), acl('world', 'anyone', 1), acl('world', 'anyone', 2)]);
  });

  it('looks at each entry once, however many there are', () => {
    let looks = 0;
    const list = Array.from({ length: 20_000 }, (_, perms) => ({
      scheme: 'world',
      id: 'anyone',
      get perms() {
        looks++;
        return perms;
      },
    }));
    expect(fixAcl(list, [])).toHaveLength(20_000);
    expect(looks).toBeLessThan(4 * list.length);
  });

  it('lets no identities grow a list without bounds', () => {
    const own: Id[] = Array.from({ length: 10 }, (_, i) => ({ scheme: 'digest', id: `user${i}:x` }));
    const list = Array.from({ length: 1000 }, (_, perms) => acl('auth', '', perms));
    expect(fixAcl(list, own)).toHaveLength(10_000);
    const room = { bytes: 100_000 };
    expect(fixAcl(list, own, room)).toBeNull();
    expect(room.bytes).toBeGreaterThan(-1000);
  });

  it('hides secrets from those who may not administer', () => {
    expect(hideDigests([acl('digest', 'a:secret'), acl('ip', '1.1.1.1')])).toEqual([acl('digest', 'a:x'), acl('ip', '1.1.1.1')]);
  });
});

describe('AclTable', () => {
  it('numbers lists by value, counts uses and never gives a number twice', () => {
    const table = new AclTable();
    const key = table.acquire([acl('ip', '1.1.1.1')]);
    expect(table.acquire([acl('ip', '1.1.1.1')])).toBe(key);
    const open = table.acquire(OPEN_ACL);
    expect([key, open]).toEqual([1, 2]);
    table.release(key);
    expect(table.get(key)).toHaveLength(1);
    table.release(key);
    expect(table.get(key)).toBeUndefined();
    expect(table.acquire([acl('ip', '1.1.1.1')])).toBe(3);
    table.release(open);
    expect(table.isOpen(open)).toBe(false);
    expect(table.acquire([{ ...OPEN_ACL[0] }])).toBe(4);
    expect(table.isOpen(4)).toBe(true);
    expect(table.size).toBe(2);
  });

  it('tells apart lists that look alike when joined', () => {
    const table = new AclTable();
    expect(table.acquire([acl('digest', 'a:b', 1)])).not.toBe(table.acquire([acl('digesta', ':b', 1)]));
    expect(table.acquire([acl('ip', '1'), acl('ip', '2')])).not.toBe(table.acquire([acl('ip', '2'), acl('ip', '1')]));
  });

  it('has no entry for the key of the built-in znodes', () => {
    const table = new AclTable();
    table.retain(OPEN_KEY);
    table.release(OPEN_KEY);
    expect(table.isOpen(OPEN_KEY)).toBe(true);
    expect(table.get(OPEN_KEY)).toEqual(OPEN_ACL);
    expect(table.entries()).toEqual([]);
  });
});
