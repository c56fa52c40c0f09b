import { Command, Option } from 'commander';

import { messageOf } from '../common/errors.js';
import {
  deleteCredentialCommand,
  listCredentialsCommand,
  setCredentialCommand,
  testCredentialCommand,
  type SetCredentialOptions,
} from './credential.command.js';
import type { CredentialScope } from './host-client.js';
import { keysCommand, rotateKeysCommand } from './keys.command.js';
import { runCommand } from './run.command.js';

const program = new Command('stepwell')
  .description('Run plans on a Stepwell host, and look after what they need')
  .showHelpAfterError('(stepwell --help shows what there is)');

program
  .command('run')
  .description('run a plan from a file on the host of this home, or on one brought up for it')
  .argument('<file>', 'a plan as JSON: { "name", "steps": [...] }')
  .option('-i, --input <json>', 'input of the plan, as JSON or @file')
  .option('--json', 'print the finished execution as JSON')
  .action(async (file: string, options: { input?: string; json?: boolean }) => {
    process.exitCode = await runCommand({ file, ...options });
  });

const scope = (text: string): Option =>
  new Option('-s, --scope <scope>', text).choices(['user', 'tenant']);
const collect = (value: string, before: string[] = []): string[] => [...before, value];
const NAME = ['-n, --name <name>', 'which of several', 'default'] as const;

const credential = program
  .command('credential')
  .description('store secrets for providers; no command shows one again');

credential
  .command('set')
  .description('store one, or replace it: asks for its fields, or takes the secret from a pipe')
  .argument('<provider>', 'such as openai')
  .option(...NAME)
  .addOption(scope('yours alone, or for all of the tenant (admins)').default('user'))
  .option('-f, --field <name=value>', 'a field that is not secret; as often as needed', collect)
  .option('-t, --type <type>', "one of the provider's credential types; default: its first")
  .option('-e, --expires <time>', 'from when it is not used any more, such as 2027-01-31T00:00:00Z')
  .option('--json', 'all fields come as a JSON object through a pipe')
  .action(async (provider: string, options: SetCredentialOptions) => {
    await setCredentialCommand(provider, options);
  });

credential
  .command('test')
  .description("try one at the provider's service; exits with 1 when it doesn't work")
  .argument('<provider>')
  .option(...NAME)
  .addOption(scope("default: yours, then the tenant's"))
  .action(async (provider: string, options: { name: string; scope?: CredentialScope }) => {
    process.exitCode = await testCredentialCommand(provider, options);
  });

credential
  .command('list')
  .description('show those that you may use, with their secrets masked')
  .action(async () => {
    await listCredentialsCommand();
  });

credential
  .command('delete')
  .description('delete one')
  .argument('<provider>')
  .option(...NAME)
  .addOption(scope('yours, or the one of the tenant (admins)').default('user'))
  .action(async (provider: string, options: { name: string; scope: CredentialScope }) => {
    await deleteCredentialCommand(provider, options);
  });

const keys = program
  .command('keys')
  .description("show the versions of tenants' encryption keys (operators)")
  .action(async () => {
    await keysCommand(process.stdout);
  });

keys
  .command('rotate')
  .description('give tenants a new encryption key and encrypt their credentials anew')
  .option('-t, --tenant <name>', 'only this one, by name or id')
  .action(async (options: { tenant?: string }) => {
    await rotateKeysCommand(process.stdout, options);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`stepwell: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
