import { Command } from 'commander';

import { messageOf } from '../common/errors.js';
import { keysCommand, rotateKeysCommand } from './keys.command.js';
import { runCommand } from './run.command.js';

const program = new Command('stepwell')
  .description('Run plans on a Stepwell host')
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
