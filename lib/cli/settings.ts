/** Settings that a flag or a key of a configuration file can give, declared once for both. */
import { InvalidArgumentError, Option } from 'commander';
import { flag, parseOptions } from '../validate';
import type { Field, Schema } from '../validate';
import { placeInside } from './config-file';
import type { ConfigFile } from './config-file';
import { UsageError } from './usage-error';

/** One setting. Its key in configuration files is the flag in camelCase. */
export interface Setting<T> {
  /** As commander takes it: `--learning-rate <x>`. */
  readonly flags: string;
  readonly help: string;
  /** How a flag's text becomes a value. */
  readonly kind: 'number' | 'text' | 'switch';
  /** Checks the value. */
  readonly field: Field<T>;
}

/** Settings by their keys. */
export type Settings = Record<string, Setting<unknown>>;

/** The values of settings. */
export type Values<S extends Settings> = {
  [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

/** A setting whose value is a number. */
export function numeric<T>(flags: string, help: string, field: Field<T>): Setting<T> {
  return { flags, help, kind: 'number', field };
}

/** A setting whose value is text. */
export function textual<T>(flags: string, help: string, field: Field<T>): Setting<T> {
  return { flags, help, kind: 'text', field };
}

/** A `--json` switch; `what` says what is printed. */
export function jsonSwitch(what: string): Setting<boolean> {
  return {
    flags: '--json',
    help: `print ${what} for machines`,
    kind: 'switch',
    field: flag(false),
  };
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** What an error of the library says, for a flag: its text names the flag already. */
function invalid(error: unknown): InvalidArgumentError {
  return new InvalidArgumentError((error as Error).message);
}

function parser(name: string, { kind, field }: Setting<unknown>): (text: string) => unknown {
  return (text) => {
    const value = kind === 'number' && NUMBER.test(text.trim()) ? Number(text) : text;
    try {
      return field.parse(value, name);
    } catch (error) {
      throw invalid(error);
    }
  };
}

/** The option of a setting; without a default, so that "not given" can be told. */
export function optionOf(setting: Setting<unknown>): Option {
  const { fallback } = setting.field;
  const told = setting.kind !== 'switch' && fallback !== undefined && fallback !== '';
  const help = told ? `${setting.help} (default: ${JSON.stringify(fallback)})` : setting.help;
  const option = new Option(setting.flags, help);
  if (setting.kind !== 'switch') option.argParser(parser(option.long!, setting));
  return option;
}

/** The values of a configuration file, each checked; what is left out stays undefined. */
function readConfig(settings: Settings, { values, place }: ConfigFile): Record<string, unknown> {
  // With no value required, so that a flag may give what the file leaves out.
  const loose: Schema = Object.fromEntries(
    Object.entries(settings).map(([key, { field }]) => [
      key,
      { parse: field.parse, required: false, fallback: undefined },
    ]),
  );
  const read: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    try {
      read[key] = parseOptions('configuration', { [key]: value }, loose)[key];
    } catch (error) {
      throw new UsageError(`${place(key, placeInside(error))}: ${(error as Error).message}`);
    }
  }
  return read;
}

/**
 * Joins what flags and a configuration file say: flags first, then the file, then defaults.
 *
 * @throws UsageError for an unknown key or a value that is not allowed, with the file and the line;
 *     for a setting that is missing
 */
export function settle<S extends Settings>(
  settings: S,
  flags: Readonly<Record<string, unknown>>,
  config?: ConfigFile,
): Values<S> {
  const fromFile = config === undefined ? {} : readConfig(settings, config);
  const values = Object.entries(settings).map(([key, { field, flags: shown }]) => {
    const value = flags[key] ?? fromFile[key];
    if (value === undefined && field.required) {
      throw new UsageError(`${shown.split(' ')[0]} is required`);
    }
    return [key, value ?? field.fallback] as const;
  });
  return Object.fromEntries(values) as Values<S>;
}
