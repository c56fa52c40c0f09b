import { describe, expect, it } from '@jest/globals';

import { loadConfig } from './config.js';

const KEY = Buffer.alloc(32, 1).toString('base64');

describe('loadConfig', () => {
  it('needs nothing', () => {
    expect(loadConfig({}, '/srv/app')).toMatchObject({
      home: '/srv/app/.stepwell',
      host: '127.0.0.1',
      port: 5001,
      databaseUrl: null,
      encryptionKey: null,
      plugins: [],
      legacyUsers: 'refuse',
    });
  });

  it('reads what becomes of unknown users', () => {
    expect(loadConfig({ STEPWELL_LEGACY_USERS: 'create' }).legacyUsers).toBe('create');
    expect(() => loadConfig({ STEPWELL_LEGACY_USERS: 'yes' })).toThrow(/STEPWELL_LEGACY_USERS/);
  });

  it('leaves the number of sandbox children to the machine unless told', () => {
    expect(loadConfig({}).maxSandboxChildren).toBeNull();
    expect(loadConfig({ STEPWELL_MAX_SANDBOX_CHILDREN: '3' }).maxSandboxChildren).toBe(3);
    for (const wrong of ['0', '201', 'many']) {
      expect(() => loadConfig({ STEPWELL_MAX_SANDBOX_CHILDREN: wrong })).toThrow(
        /STEPWELL_MAX_SANDBOX_CHILDREN/,
      );
    }
  });

  it('keeps nothing on disk while the database is away unless told to', () => {
    expect(loadConfig({})).toMatchObject({ spool: false, spoolMaxMb: 256, metricsToken: null });
    expect(loadConfig({ STEPWELL_SPOOL: 'on', STEPWELL_SPOOL_MAX_MB: '10' })).toMatchObject({
      spool: true,
      spoolMaxMb: 10,
    });
    for (const wrong of [
      { STEPWELL_SPOOL: 'yes' },
      { STEPWELL_SPOOL_MAX_MB: '0' },
      { STEPWELL_METRICS_TOKEN: 'x'.repeat(15) },
      { STEPWELL_METRICS_TOKEN: `${'x'.repeat(16)} ` },
    ]) {
      expect(() => loadConfig(wrong)).toThrow(new RegExp(Object.keys(wrong)[0] ?? ''));
    }
  });

  it('takes addresses and ranges of proxies', () => {
    const trusted = (text: string): string[] =>
      loadConfig({ STEPWELL_TRUSTED_PROXIES: text }).trustedProxies;
    expect(trusted('10.0.0.1, 10.0.0.0/8,fd00::/8')).toEqual([
      '10.0.0.1',
      '10.0.0.0/8',
      'fd00::/8',
    ]);
    for (const wrong of [
      'proxy',
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      '0.0.0.0/0',
      '::/0',
    ]) {
      expect(() => trusted(wrong)).toThrow(/STEPWELL_TRUSTED_PROXIES/);
    }
  });

  it('takes a URL that links can begin with', () => {
    const read = (text: string): string | null =>
      loadConfig({ STEPWELL_PUBLIC_URL: text }).publicUrl;
    expect(read('')).toBeNull();
    expect(read('https://flows.example')).toBe('https://flows.example');
    expect(read('https://Flows.example:443/')).toBe('https://flows.example');
    expect(read('http://10.0.0.7:8080/stepwell/')).toBe('http://10.0.0.7:8080/stepwell');
    for (const wrong of [
      'flows.example',
      'ftp://flows.example',
      'https://a:b@flows.example',
      'https://flows.example/?a=b',
      'https://flows.example/#a',
      'https://flows.example?',
    ]) {
      expect(() => read(wrong)).toThrow(/STEPWELL_PUBLIC_URL/);
    }
  });

  it('takes any mix of roles, all by default, and names one that is none', () => {
    expect(loadConfig({}).roles).toEqual(['api', 'worker', 'scheduler']);
    expect(loadConfig({ STEPWELL_ROLES: ' scheduler,api, api' }).roles).toEqual([
      'api',
      'scheduler',
    ]);
    for (const [roles, wrong] of [
      ['api,werker', ', not "werker"'],
      [',', ''],
    ] as const) {
      expect(() => loadConfig({ STEPWELL_ROLES: roles })).toThrow(
        `STEPWELL_ROLES must be some of api, worker, scheduler, comma-separated${wrong}`,
      );
    }
  });

  it('takes an empty variable for none', () => {
    expect(loadConfig({ PORT: '', DATABASE_URL: '', STEPWELL_HOME: '' }, '/srv').port).toBe(5001);
  });

  it('reads paths of plugins, also with spaces, relative to where it runs', () => {
    const { plugins } = loadConfig({ STEPWELL_PLUGINS: 'a plugin, /abs/b.tgz ,' }, '/srv');
    expect(plugins).toEqual(['/srv/a plugin', '/abs/b.tgz']);
  });

  it('keeps executions for a number of days, or for ever', () => {
    const days = (text?: string): number | null =>
      loadConfig(text === undefined ? {} : { STEPWELL_LOG_RETENTION_DAYS: text }).logRetentionDays;
    expect([days(), days('1'), days('36500'), days('forever')]).toEqual([90, 1, 36_500, null]);
    for (const text of ['0', '-1', '1.5', '36501', '1e3', 'never']) {
      expect(() => days(text)).toThrow(
        'STEPWELL_LOG_RETENTION_DAYS must be a number of days from 1 to 36500, or forever',
      );
    }
  });

  it('is frozen', () => {
    expect(Object.isFrozen(loadConfig({}))).toBe(true);
  });

  it('names every variable that is wrong, in one message', () => {
    expect(() =>
      loadConfig({ PORT: '99999', LOG_LEVEL: 'loud', STEPWELL_DB_ROLE_PREFIX: 'A-' }),
    ).toThrow(/PORT .*LOG_LEVEL .*|LOG_LEVEL .*PORT .*/);
  });

  it('takes a database of its own only with a key', () => {
    const url = 'postgres://u:p@db/x';
    expect(() => loadConfig({ DATABASE_URL: url })).toThrow(/needs STEPWELL_ENCRYPTION_KEY/);
    expect(() => loadConfig({ DATABASE_URL: url, STEPWELL_ENCRYPTION_KEY: 'c2hvcnQ=' })).toThrow(
      /32 bytes/,
    );
    expect(
      loadConfig({ DATABASE_URL: url, STEPWELL_ENCRYPTION_KEY: KEY }).encryptionKey,
    ).toHaveLength(32);
    expect(() => loadConfig({ STEPWELL_MIGRATION_URL: url })).toThrow(/needs DATABASE_URL/);
  });
});
