import { IntrinsicException } from '@nestjs/common';

/** An error whose message the model may read: it becomes an `isError` result (HT-28). Every other error is masked. */
export class ToolError extends IntrinsicException {
  override readonly name = 'ToolError';
}
