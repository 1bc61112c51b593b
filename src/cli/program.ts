import { Command } from 'commander';
import { ConfigurationError } from '../config/configuration-error.js';
import { type Environment, processEnvironment } from '../config/environment.js';
import { serverVersion } from '../mcp/server-version.js';
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
    .version(serverVersion, '--version', 'print the version')
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
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) =>
      (await import('./database.js')).migrateDatabase(processEnvironment(), options),
    );

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
    .option('--json', 'print JSON')
    .action(async (id: string, options: { json?: boolean }) =>
      (await import('./tokens.js')).revokeToken(processEnvironment(), id, options),
    );
}

interface ClientOptions {
  readonly token?: string;
  readonly json?: boolean;
  readonly browser: boolean;
  readonly clientId?: string;
}

function addClientCommands(gatehouse: Command): void {
  gatehouse
    .command('client')
    .description(
      'talk to an MCP server: client <url> tools | client <url> call <tool> [name=value …] | client <url> logout',
    )
    .argument('<url>', 'for example http://localhost:8000/mcp')
    .argument('<action>', 'tools, call or logout')
    .argument('[arguments...]', 'for call: the tool, then name=value or name:=json')
    .option(
      '--token <token>',
      'bearer token; default: GATEHOUSE_TOKEN, else you sign in by browser when the server asks for it',
    )
    .option('--no-browser', 'only print the address to sign in at')
    .option('--client-id <id>', 'a client registered by hand, for servers that take no new ones')
    .option('--json', 'print the answer as JSON')
    .action(async (url: string, action: string, rest: string[], options: ClientOptions) => {
      const env = processEnvironment();
      const { client } = await import('./client.js');
      const { json = false, browser, clientId } = options;
      await client({ url, action, rest, token: givenToken(options, env), json, browser, clientId, env });
    });
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

function givenToken({ token }: { token?: string }, env: Environment): { value: string; from: string } | undefined {
  if (token !== undefined) return { value: token, from: '--token' };
  const value = env['GATEHOUSE_TOKEN'];
  return value ? { value, from: 'GATEHOUSE_TOKEN' } : undefined;
}
