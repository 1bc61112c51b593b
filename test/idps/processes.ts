import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A server of somebody else, started for one suite. */
export interface ForeignServer {
  readonly output: () => string;
  close(): Promise<void>;
}

/** Starts a program and waits until a URL of it answers anything. @throws Error with its output when it ends or `patience` seconds (default 120) pass */
export async function startForeign(
  command: string,
  args: readonly string[],
  { ready, cwd, patience = 120 }: { ready: string; cwd?: string; patience?: number },
): Promise<ForeignServer> {
  let output = '';
  const child: ChildProcess = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'exit');
  const giveUpAt = performance.now() + patience * 1000;
  while (!(await answers(ready))) {
    if (child.exitCode !== null || performance.now() > giveUpAt) {
      child.kill('SIGKILL');
      throw new Error(`${command} does not answer at ${ready}:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return {
    output: () => output,
    close: async () => {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(late);
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url, { redirect: 'manual' })).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** Says why a suite does not run here. @returns false */
export function cannotRun(suite: string, reason: string): false {
  console.warn(`${suite} is left out: ${reason}`);
  return false;
}
