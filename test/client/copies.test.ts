import Long from 'long';
import { expect, test } from 'vitest';
import { checkedCredential, resolveConnectOptions } from '../../src/client/options.ts';
import { systemClock, systemRandom } from '../../src/index.ts';

test('what the caller does with his Buffers later changes nothing', () => {
  const password = Buffer.alloc(16, 7);
  const seams = { clock: systemClock(), random: systemRandom(), sockets: {} as never };
  const { resume } = resolveConnectOptions('host:2181', { ...seams, resume: { id: Long.ONE, password } });
  const credential = Buffer.from('alice:secret');
  const checked = checkedCredential({ scheme: 'digest', credential });
  password.fill(0);
  credential.fill(0);
  expect(resume?.password).toEqual(new Uint8Array(16).fill(7));
  expect(checked.credential).toEqual(new Uint8Array(Buffer.from('alice:secret')));
});
