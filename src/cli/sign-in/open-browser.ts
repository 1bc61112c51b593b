import { spawn } from 'node:child_process';
import type { Environment } from '../../config/environment.js';

/** A program and its arguments. */
export interface Opener {
  readonly command: string;
  readonly args: readonly string[];
}

/** What opens a web page here: the first of `BROWSER` (a list as xdg-open reads it, `%s` standing for the address), or the platform's opener. */
export function openerOf(url: URL, env: Environment, platform: NodeJS.Platform = process.platform): Opener {
  // The address begins with http, so it is never taken for an option; no shell ever reads it.
  const first = env['BROWSER']?.split(platform === 'win32' ? ';' : ':')[0]?.trim();
  if (first) {
    const [command = '', ...args] = first.split(/\s+/);
    return {
      command,
      args: args.includes('%s') ? args.map((arg) => (arg === '%s' ? url.href : arg)) : [...args, url.href],
    };
  }
  if (platform === 'darwin') return { command: 'open', args: [url.href] };
  // `start` belongs to the shell, which would read the & of the address; this is what it calls.
  if (platform === 'win32') return { command: 'rundll32', args: ['url.dll,FileProtocolHandler', url.href] };
  return { command: 'xdg-open', args: [url.href] };
}

/** Opens a page in the person's browser, which lives on after us. @returns whether there was anything to open it with */
export async function openBrowser(url: URL, env: Environment): Promise<boolean> {
  const { command, args } = openerOf(url, env);
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'ignore', detached: true });
    child.once('spawn', () => {
      child.unref();
      resolve(true);
    });
    child.once('error', () => resolve(false));
  });
}
