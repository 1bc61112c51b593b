import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Caller, type Principal, Resource, Tool, ToolError } from '../../src/index.js';

/** Notes that each caller keeps for themselves, in memory. */
@Injectable()
export class NotesTools {
  readonly #notes = new Map<string, string[]>();

  @Tool({ description: 'Adds a note', input: z.object({ text: z.string().min(1) }) })
  addNote({ text }: { text: string }, @Caller() caller: Principal): string {
    const notes = this.#of(caller);
    if (notes.length >= 100) throw new ToolError('100 notes are enough: remove one first');
    notes.push(text);
    return `note ${notes.length}: ${text}`;
  }

  @Tool({ description: 'Lists my notes', output: z.object({ notes: z.array(z.string()) }) })
  listNotes(_: object, @Caller() caller: Principal): { notes: string[] } {
    return { notes: this.#of(caller) };
  }

  @Resource({ uri: 'notes://mine', description: 'My notes, one a line', mimeType: 'text/plain' })
  mine(_: URL, @Caller() caller: Principal): string {
    return this.#of(caller).join('\n');
  }

  #of({ key }: Principal): string[] {
    const notes = this.#notes.get(key) ?? [];
    this.#notes.set(key, notes);
    return notes;
  }
}
