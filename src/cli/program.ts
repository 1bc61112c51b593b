import { Command } from 'commander';
import { ConfigurationError } from '../config/configuration-error.js';
import { processEnvironment } from '../config/environment.js';
import { redact } from '../ops/redact.js';

/** Runs one command line. @returns the exit code: 0 only on success, 78 for a faulty configuration */
export async function run(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync([...argv]);
    return 0;
  } catch (error) {
    if (error instanceof ConfigurationError) {
      process.stderr.write(`${error.message}\n`);
      return error.exitCode;
    }
    process.stderr.write(`gatehouse: ${redact(error instanceof Error ? error.message : String(error))}\n`);
    return 1;
  }
}

/** Rooms are loaded when their command runs: `gatehouse client` needs neither Nest nor a database. */
function program(): Command {
  const gatehouse = new Command('gatehouse')
    .description('The self-hosted OAuth 2.1 front door for MCP servers')
    .showHelpAfterError();

  gatehouse
    .command('serve')
    .description('serve MCP; configured by GATEHOUSE_… variables')
    .option('--migrate', 'run pending migrations first (on SQLite they always run)')
    .action(async (options: { migrate?: boolean }) =>
      (await import('./serve.js')).serve({ env: processEnvironment(), migrate: options.migrate ?? false }),
    );

  gatehouse
    .command('migrate')
    .description('run pending migrations')
    .action(async () => (await import('./database.js')).migrateDatabase(processEnvironment()));

  addTokenCommands(gatehouse);
  addClientCommands(gatehouse);
  return gatehouse;
}

function addTokenCommands(gatehouse: Command): void {
  const token = gatehouse.command('token').description('personal tokens of this installation');
  token
    .command('create')
    .description('make a token; it is shown once')
    .option('--name <name>', 'what it is for', 'command line')
    .option('--scope <scopes>', 'scopes separated by spaces or commas; default: GATEHOUSE_DEFAULT_SCOPES')
    .option('--expires <duration>', 'for example 30d; default: never')
    .option('--json', 'print JSON')
    .action(async (options: { name: string; scope?: string; expires?: string; json?: boolean }) =>
      (await import('./tokens.js')).createToken(processEnvironment(), options),
    );
  token
    .command('list')
    .description('all tokens, live and dead')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) =>
      (await import('./tokens.js')).listTokens(processEnvironment(), options),
    );
  token
    .command('revoke')
    .description('end a token at once, on running servers too')
    .argument('<id>', 'from token list')
    .action(async (id: string) => (await import('./tokens.js')).revokeToken(processEnvironment(), id));
}

function addClientCommands(gatehouse: Command): void {
  const client = gatehouse
    .command('client')
    .description('talk to an MCP server: client <url> tools | client <url> call <tool> [name=value …]')
    .argument('<url>', 'for example http://localhost:8000/mcp')
    .argument('<action>', 'tools or call')
    .argument('[arguments...]', 'for call: the tool, then name=value or name:=json')
    .option('--token <token>', 'bearer token; default: GATEHOUSE_TOKEN')
    .option('--json', 'print the answer as JSON');
  client.action(async (url: string, action: string, rest: string[], options: { token?: string; json?: boolean }) =>
    (await import('./client.js')).client({
      url,
      action,
      rest,
      token: options.token ?? processEnvironment()['GATEHOUSE_TOKEN'],
      json: options.json ?? false,
    }),
  );
  gatehouse
    .command('doctor')
    .description('walk from discovery to the first call and say what is wrong and how to mend it')
    .argument('<url>', 'the MCP URL as clients use it')
    .option('--token <token>', 'bearer token for the first call; default: GATEHOUSE_TOKEN')
    .option('--json', 'print JSON')
    .action(async (url: string, options: { token?: string; json?: boolean }) =>
      (await import('./doctor.js')).doctor({
        url,
        token: options.token ?? processEnvironment()['GATEHOUSE_TOKEN'],
        json: options.json ?? false,
      }),
    );
}
