import { Injectable } from '@nestjs/common';
import { AttemptLimit } from '../access/attempt-limit.js';

/** How many requests one Principal may send to the MCP endpoint: far more than a person and a model need (RS-19). */
@Injectable()
export class CallLimit extends AttemptLimit {
  constructor() {
    super({ max: 3000, seconds: 60 });
  }
}
