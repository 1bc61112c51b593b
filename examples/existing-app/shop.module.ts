import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { z } from 'zod';
import { Tool } from '../../src/index.js';

/** What the application did before it met MCP. */
@Injectable()
export class Stock {
  readonly #items = new Map([
    ['apple', 3],
    ['pear', 0],
  ]);

  count(item: string): number {
    return this.#items.get(item) ?? 0;
  }
}

@Controller('stock')
export class StockController {
  constructor(private readonly stock: Stock) {}

  @Get()
  all(): { apple: number } {
    return { apple: this.stock.count('apple') };
  }
}

/** The same knowledge, for models. */
@Injectable()
export class StockTools {
  constructor(private readonly stock: Stock) {}

  @Tool({
    description: 'How many of an item are in stock',
    input: z.object({ item: z.string() }),
    output: z.object({ count: z.int() }),
  })
  stockOf({ item }: { item: string }): { count: number } {
    return { count: this.stock.count(item) };
  }
}

@Module({ controllers: [StockController], providers: [Stock, StockTools] })
export class ShopModule {}
