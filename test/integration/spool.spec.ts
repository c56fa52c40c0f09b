import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';

import { newId } from '../../src/common/ids.js';
import { SpoolSettings } from '../../src/execution/spool/spool-settings.js';
import { Spool } from '../../src/execution/spool/spool.js';
import type { SpooledRun } from '../../src/execution/spool/spooled-run.js';
import { ThisHost } from '../../src/queue/this-host.js';

const KEY = Buffer.alloc(32, 7);
const CANARY = 'canary-of-a-body';

/** On a real disk; what the database makes of it is told by test/e2e/outage.spec.ts. */
describe('the spool', () => {
  let folder: string;
  let spool: Spool;

  beforeAll(() => {
    Logger.overrideLogger(false);
  });

  afterAll(() => {
    Logger.overrideLogger(true);
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stepwell-spool-'));
    spool = make();
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const make = (options: { key?: Buffer; maxBytes?: number } = {}): Spool => {
    const { key = KEY, maxBytes = 10_000_000 } = options;
    return new Spool(new SpoolSettings(true, maxBytes, folder), key, new ThisHost(['worker']));
  };
  const run = (n: number, input: unknown = { text: CANARY }): SpooledRun => ({
    spooledAt: 1_000 + n,
    run: {
      id: newId(),
      tenantId: 't',
      tenantName: 'tenant',
      ownerId: 'u',
      planId: null,
      planVersion: null,
      definition: { steps: [], pins: {} },
      visibility: 'private',
      trigger: 'manual',
      triggerData: null,
      input: input as SpooledRun['run']['input'],
      idempotency: null,
      hostId: null,
      originId: null,
      parent: null,
      journal: [],
    },
  });
  const append = async (into: Spool, count: number): Promise<string[]> => {
    const runs = Array.from({ length: count }, (_, n) => run(n));
    await Promise.all(runs.map((one) => into.append(one)));
    return runs.map((one) => one.run.id);
  };
  const ids = (content: { runs: SpooledRun[] } | null): string[] =>
    content?.runs.map((one) => one.run.id) ?? [];
  const files = (): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(spool|damaged)$/.test(name))
      .map((name) => join(folder, name));
  /** As after kill -9: the process that signed the folder is another one. */
  const orphan = (): void => {
    for (const name of readdirSync(folder)) {
      writeFileSync(join(folder, name, 'owner.json'), JSON.stringify({ pid: 1, begunAt: '0' }));
    }
  };

  it('gives back what went in, in order, and nothing is left when it is removed', async () => {
    const expected = await append(spool, 300);
    const file = (await spool.nextFile())!;
    expect(spool.measure()).toMatchObject({ records: 300, oldestAt: 1_000 });
    expect(ids(await spool.read(file))).toEqual(expected);
    await spool.remove(file);
    expect(spool.measure()).toEqual({ records: 0, bytes: 0, oldestAt: null });
    await spool.onApplicationShutdown();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('writes nothing in clear', async () => {
    await append(spool, 3);
    const bytes = Buffer.concat(files().map((path) => readFileSync(path)));
    expect(bytes.length).toBeGreaterThan(3 * CANARY.length);
    expect(bytes.includes(CANARY)).toBe(false);
    // The control: it is there, and would be found.
    const content = await spool.read((await spool.nextFile())!);
    expect(content?.records.every(({ text }) => text.includes(CANARY))).toBe(true);
  });

  it('drops the end that a crash cut short, at whatever byte, and keeps all before it', async () => {
    const expected = await append(spool, 2);
    const [path = ''] = files();
    const whole = readFileSync(path);
    const first = whole.readUInt32BE(40) + 4 + 40;
    for (const cut of [first, first + 1, first + 4, first + 40, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, cut));
      const content = await spool.read({ ...(await spool.nextFile())! });
      expect([cut, ids(content)]).toEqual([cut, expected.slice(0, 1)]);
      expect([cut, content?.tornBytes, content?.damaged]).toEqual([cut, cut - first, []]);
    }
    writeFileSync(path, whole);
    appendFileSync(path, Buffer.alloc(4_096)); // room that was made and never written
    const content = await spool.read((await spool.nextFile())!);
    expect([ids(content), content?.tornBytes]).toEqual([expected, 4_096]);
  });

  it('knows a record that was changed, and still gives those around it', async () => {
    const expected = await append(spool, 3);
    const [path = ''] = files();
    const whole = readFileSync(path);
    const second = whole.readUInt32BE(40) + 4 + 40;
    whole.writeUInt8(whole.readUInt8(second + 60) ^ 1, second + 60);
    writeFileSync(path, whole);
    const content = await spool.read((await spool.nextFile())!);
    expect(ids(content)).toEqual([expected[0], expected[2]]);
    expect(content?.damaged.map(({ offset }) => offset)).toEqual([second]);
  });

  it('has room for as much as it may hold, and again when something was removed', async () => {
    const small = make({ maxBytes: 4_000 });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => small.append(run(n))),
    );
    const kept = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(kept).toBeGreaterThan(1);
    expect(kept).toBeLessThan(20);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'service.unavailable' },
    });
    expect(small.measure().bytes).toBeLessThanOrEqual(4_000);
    expect(small.counts).toMatchObject({ accepted: kept, refused: 20 - kept });
    await small.remove((await small.nextFile())!);
    await small.append(run(21));
  });

  it('takes over what a dead host of its home left, and leaves the living alone', async () => {
    const expected = await append(spool, 2);
    const second = make();
    await second.adopt();
    expect(second.measure().records).toBe(0); // this process lives
    orphan();
    await second.adopt();
    const file = (await second.nextFile())!;
    expect(ids(await second.read(file))).toEqual(expected);
    await second.remove(file);
    expect(readdirSync(folder)).toEqual([]);
    // Taken for dead by mistake, the first one goes on in a new file.
    const third = await append(spool, 1);
    expect(files()).toHaveLength(1);
    orphan();
    const fourth = make();
    await fourth.adopt();
    expect(ids(await fourth.read((await fourth.nextFile())!))).toEqual(third);
  });

  it('sets aside, unread, what was sealed under another root key', async () => {
    await append(spool, 2);
    const bytes = readFileSync(files()[0]!);
    orphan();
    const other = make({ key: Buffer.alloc(32, 8) });
    await other.adopt();
    expect(await other.nextFile()).toBeNull();
    expect(other.setAside.count).toBe(1);
    const [path = ''] = files();
    expect(path).toContain('set-aside');
    expect(readFileSync(path)).toEqual(bytes);
  });

  it('sets aside a run in a file that can be tried again', async () => {
    const one = run(1);
    await spool.setAside.run(one, 'its plan was deleted');
    await spool.setAside.run(one, 'its plan was deleted'); // a flush that began anew
    const [path = '', ...more] = files();
    expect(more).toEqual([]);
    expect(readFileSync(path).includes(CANARY)).toBe(false);
    mkdirSync(join(folder, 'again'));
    renameSync(path, join(folder, 'again', 'x.spool'));
    await spool.adopt();
    expect(ids(await spool.read((await spool.nextFile())!))).toEqual([one.run.id]);
  });

  it('takes over the rest when something among it is no folder, or can not be read', async () => {
    const expected = await append(spool, 2);
    orphan();
    writeFileSync(join(folder, '0-a-file'), 'somebody left it here');
    mkdirSync(join(folder, '1-theirs'));
    writeFileSync(join(folder, '1-theirs', 'note.txt'), 'somebody left it here');
    mkdirSync(join(folder, '2-unreadable', 'x.spool'), { recursive: true });
    const second = make();
    await second.adopt();
    const file = (await second.nextFile())!;
    expect(ids(await second.read(file))).toEqual(expected);
    await second.remove(file);
    expect(second.setAside.count).toBe(1);
    const left = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    expect(left).toContain('0-a-file');
    expect(left.filter((name) => name.endsWith('note.txt'))).toHaveLength(1);
  });

  it('begins another file in time, however much comes at once', async () => {
    const large = 'x'.repeat(300_000);
    const runs = Array.from({ length: 20 }, (_, n) => run(n, { text: large }));
    await Promise.all(runs.map((one) => spool.append(one)));
    const sizes = files().map((path) => statSync(path).size);
    expect(sizes.length).toBeGreaterThan(3);
    expect(Math.max(...sizes)).toBeLessThan(2.5 * 1024 * 1024);
    const back: string[] = [];
    for (let file = await spool.nextFile(); file; file = await spool.nextFile()) {
      back.push(...ids(await spool.read(file)));
      await spool.remove(file);
    }
    expect(back).toEqual(runs.map((one) => one.run.id));
  });
});
