import type { DynamicModule, Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { FirstToken } from '../access/first-token.js';
import type { Settings } from '../config/settings.js';
import { createApp } from '../create-app.js';
import { OUTBOUND } from '../outbound/http-outbound.js';
import type { Outbound } from '../outbound/outbound.js';
import { banner, unsafe } from './banner.js';
import { clientConfiguration } from './client-configuration.js';
import { Log } from './log.js';
import { faultOfPublicUrl } from './public-url.js';
import { Requests } from './requests.js';
import { readTls } from './tls-files.js';

/** What is started, and where it tells of itself. */
export interface StartOptions {
  readonly settings: Settings;
  readonly root: Type | DynamicModule;
  /** Lines for the log about how the configuration was read. */
  readonly notes?: readonly string[];
  /** Takes the text that a person must see, the first token among it: standard output. */
  readonly print: (text: string) => void;
}

/** The server cannot listen; one line for the operator. */
export class PortUnusable extends Error {
  override readonly name = 'PortUnusable';
}

/**
 * Creates the application, prints the banner (and on the very first start a personal token) and listens.
 * @throws PortUnusable naming the port  @throws DatabaseUnusable  @throws ConfigurationError
 */
export async function start({ settings, root, notes = [], print }: StartOptions): Promise<NestFastifyApplication> {
  const format = settings.values.logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json');
  const log = new Log({ logLevel: settings.values.logLevel, format });
  for (const note of notes) log.log(note, 'Configuration');
  const tls = readTls(settings);
  const app = await createApp(withLog(root, log), { logger: log, ...(tls ? { https: tls } : {}) });
  try {
    await app.init();
    const token = app.get(FirstToken, { strict: false }).take();
    if (token !== null) print(clientConfiguration(settings.mcpUrl, token));
    await listen(app, settings);
  } catch (error) {
    await app.close().catch((closing: unknown) => log.warn(`the failed start did not close: ${String(closing)}`));
    await log.flush();
    throw error;
  }
  // Before the banner: whoever waits for it may end us at once.
  endOnSignals(app, log);
  if (format === 'pretty') print(`${banner(settings).join('\n  ')}\n`);
  else for (const line of banner(settings)) log.log(line.replace(/ {2,}/, ': '), 'Start');
  for (const line of unsafe(settings)) log.warn(`unsafe: ${line}`, 'Start');
  // Not awaited: the way round through a proxy may take its time, and nothing depends on the answer.
  void warnOfPublicUrl(app, settings, log);
  return app;
}

async function warnOfPublicUrl(app: NestFastifyApplication, settings: Settings, log: Log): Promise<void> {
  const fault = await faultOfPublicUrl(settings, app.get<Outbound>(OUTBOUND, { strict: false }));
  if (fault !== null) log.warn(`clients may not find their way: ${fault}; see GATEHOUSE_PUBLIC_URL`, 'Start');
}

function withLog(root: Type | DynamicModule, log: Log): DynamicModule {
  class Started {}
  return {
    module: Started,
    global: true,
    imports: [root],
    providers: [{ provide: Log, useValue: log }],
    exports: [Log],
  };
}

async function listen(app: NestFastifyApplication, settings: Settings): Promise<void> {
  const { host, port } = settings.values;
  try {
    await app.listen(port, host);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE')
      throw new PortUnusable(`port ${port} on ${host} is taken; choose another with GATEHOUSE_PORT`, { cause });
    if (code === 'EACCES' || code === 'EADDRNOTAVAIL')
      throw new PortUnusable(
        `cannot listen on port ${port} of ${host} (${code}); see GATEHOUSE_HOST and GATEHOUSE_PORT`,
        {
          cause,
        },
      );
    throw cause;
  }
}

/**
 * SIGTERM and SIGINT: not ready at once, calls under way finish within 20 s, streams and database are closed, exit 0. A second signal ends at once.
 * Nest's own hooks would end the process by the signal, which supervisors take for a crash.
 */
function endOnSignals(app: NestFastifyApplication, log: Log): void {
  let ending = false;
  const end = (signal: NodeJS.Signals): void => {
    if (ending) process.exit(1);
    ending = true;
    app.get(Requests, { strict: false }).drain();
    log.log(`${signal}: shutting down`, 'Start');
    app
      .close()
      .then(() => log.log('stopped', 'Start'))
      .then(() => log.flush())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error(error, 'Start');
          return log.flush().then(() => process.exit(1));
        },
      );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}
