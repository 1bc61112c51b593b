import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin/gatehouse.mjs', import.meta.url));

/** The built `gatehouse` as a process of its own. */
export interface Run {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Exit code; null: ended by a signal. */
  readonly exit: Promise<number | null>;
  /** Resolves when standard output holds this; rejects when the process ends before. */
  said(text: string | RegExp): Promise<void>;
}

/** A folder of its own for each test file; `remove` when done. */
export function scratchFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-process-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Runs the command with exactly these variables, besides PATH and a home of its own. */
export function gatehouse(
  args: readonly string[],
  { cwd, env = {} }: { cwd: string; env?: Record<string, string> },
): Run {
  const child = spawn(process.execPath, [BIN, ...args], { cwd, env: { PATH: process.env['PATH'], HOME: cwd, ...env } });
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    listeners.forEach((listener) => listener());
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exit = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)));
  const said = (text: string | RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (typeof text === 'string' ? !stdout.includes(text) : !text.test(stdout)) return;
        listeners.delete(look);
        resolve();
      };
      listeners.add(look);
      look();
      void exit.then((code) => reject(new Error(`ended with ${code} before it said ${text}: ${stderr}${stdout}`)));
    });
  return { child, stdout: () => stdout, stderr: () => stderr, exit, said };
}
