import { Readable } from 'node:stream';
import { Inject, StreamableFile } from '@nestjs/common';
import { type EventFilter, EventList } from '../audit/event-list.js';
import { Events } from '../audit/events.js';
import { readCursor, writeCursor } from './cursor.js';
import { eventFacts } from './facts.js';
import { AdminApi, type Answer, type Ask, operation, Serves } from './operation.js';
import { eventQuery, eventSchema } from './event-schemas.js';
import { pageOf } from './paging.js';

/** GET /events */
export const listEvents = operation({
  id: 'listEvents',
  method: 'get',
  path: '/events',
  tag: 'Audit',
  summary: 'The audit log, newest first',
  description:
    'With `Accept: application/x-ndjson` everything that fits is streamed, one Event a line, oldest first; `limit` and `cursor` do not apply.',
  query: eventQuery,
  status: 200,
  answer: pageOf(eventSchema),
  ndjson: true,
});

const NDJSON = 'application/x-ndjson';

/** `/admin/v1/events`. */
@AdminApi()
export class EventsController {
  constructor(
    @Inject(EventList) private readonly list: EventList,
    @Inject(Events) private readonly events: Events,
  ) {}

  @Serves(listEvents)
  async page({ query, by, request }: Ask<typeof listEvents>): Promise<Answer<typeof listEvents>> {
    const { limit, cursor, ...filter } = query;
    if (wantsLines(request.headers.accept)) {
      // HEAD reads nothing: it is no export.
      if (request.method === 'HEAD') return new StreamableFile(Buffer.alloc(0), { type: NDJSON });
      await this.events.write({ type: 'events.exported', ...by, detail: { ...filter } });
      return new StreamableFile(Readable.from(this.#lines(filter), { highWaterMark: 1 }), {
        type: NDJSON,
      });
    }
    const { items, next } = await this.list.page(filter, { after: readCursor('events', cursor), limit });
    return { items: items.map(eventFacts), next_cursor: next && writeCursor('events', next) };
  }

  /** A page at a time, read when the receiver has taken the one before. */
  async *#lines(filter: EventFilter): AsyncGenerator<string> {
    for await (const page of this.list.export(filter))
      yield page.map((event) => `${JSON.stringify(eventFacts(event))}\n`).join('');
  }
}

/** Whether lines are named, and not after a page: `application/json, application/x-ndjson;q=0.1` asks for a page (RFC 9110 §12.5.1). */
function wantsLines(accept = ''): boolean {
  const weights = new Map(
    accept.split(',').map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
      const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
      return [type, weight === undefined ? 1 : Number(weight)];
    }),
  );
  const lines = weights.get(NDJSON) ?? 0;
  return lines > 0 && lines >= (weights.get('application/json') ?? 0);
}
