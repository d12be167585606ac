import { layers, optimizers, sequential } from '../../lib';
import { nearest } from '../../lib/validate';
import { thrownBy } from '../helpers/errors';

const make = (options: Record<string, unknown>) => () => layers.lstm(options as never);

describe('options', () => {
  test.each([
    [{ units: 4, hiddenSize: 4 }, /did you mean "units"\? \("hiddenSize" is PyTorch's name\)/],
    [{ units: 4, return_sequences: true }, /did you mean "returnSequences"\? \(names are in camel/],
    [{ units: 4, returnSequence: true }, /did you mean "returnSequences"\?/],
    [{ units: 4, numLayers: 2 }, /did you mean "layers"\?/],
    [{ units: 4, batchFirst: true }, /inputs are always \[batch, time, features\]/],
    [{ units: 4, zzzzzzzz: 1 }, /known options are .*"units"/],
  ])('unknown names are rejected with a suggestion: %j', (options, message) => {
    const error = thrownBy(make(options));
    expect(error.name).toBe('TypeError');
    expect(error.message).toMatch(/^Expected a known option for "lstm" but received "/);
    expect(error.message).toMatch(message);
  });

  test.each([
    [{}, 'TypeError', 'Expected a value for "lstm.units" but received undefined (undefined)'],
    [{ units: '4' }, 'TypeError', 'for "lstm.units" but received "4" (string)'],
    [{ units: 0 }, 'RangeError', 'for "lstm.units" but received 0 (number)'],
    [{ units: 1.5 }, 'RangeError', 'for "lstm.units" but received 1.5 (number)'],
    [{ units: NaN }, 'RangeError', 'but received NaN (number)'],
    [{ units: 4, dropout: 1 }, 'RangeError', 'at least 0 and below 1 for "lstm.dropout"'],
    [{ units: 4, useBias: 1 }, 'TypeError', 'Expected true or false for "lstm.useBias"'],
    [{ units: 4, kernelInitializer: 'glorot' }, 'RangeError', 'for "lstm.kernelInitializer"'],
    [{ units: 4, bidirectional: 'som' }, 'RangeError', 'did you mean "sum"?'],
    [{ units: 4, mergeMode: 'sum' }, 'TypeError', '"lstm.mergeMode"'],
    [{ units: 4, bidirectional: true, goBackwards: true }, 'TypeError', '"lstm.goBackwards"'],
    [{ units: 4, name: 'a b' }, 'RangeError', '"lstm.name"'],
    [{ units: 4, init: 'torch', biasInitializer: 'ones' }, 'TypeError', '"lstm.biasInitializer"'],
  ])('%j', (options, name, message) => {
    const error = thrownBy(make(options));
    expect(error).toMatchObject({ name, code: 'ERR_INVALID_ARGUMENT' });
    expect(error.message).toContain(message);
  });

  test('options must be an object', () => {
    expect(thrownBy(() => layers.lstm(null as never)).message).toBe(
      'Expected an options object for "lstm" but received null (null)',
    );
    expect(thrownBy(() => layers.lstm([4] as never)).message).toContain('(Array)');
  });

  test('getters run once', () => {
    let reads = 0;
    const options = {
      get units() {
        return ++reads;
      },
    };
    expect(layers.lstm(options).options['units']).toBe(1);
    expect(reads).toBe(1);
  });

  test('undefined counts as absent', () => {
    expect(layers.lstm({ units: 4, dropout: undefined }).options['dropout']).toBe(0);
  });

  test('init: torch sets the initialisers and takes the forget bias away', () => {
    expect(layers.lstm({ units: 4, init: 'torch' }).getConfig()).toMatchObject({
      kernelInitializer: 'torch',
      recurrentInitializer: 'torch',
      biasInitializer: 'torch',
      unitForgetBias: false,
    });
  });

  test('optimisers and models too', () => {
    expect(thrownBy(() => optimizers.adam({ lr: 1 } as never)).message).toContain(
      'did you mean "learningRate"?',
    );
    expect(thrownBy(() => optimizers.sgd({ nesterov: true })).name).toBe('TypeError');
    expect(thrownBy(() => sequential([], { seed: 1 })).name).toBe('RangeError');
    expect(thrownBy(() => sequential([{} as never])).message).toContain('"layers[0]"');
    expect(thrownBy(() => sequential([layers.lastStep()], { seed: -1 })).name).toBe('RangeError');
  });

  test('nearest finds small slips only', () => {
    expect(nearest('unit', ['units', 'layers'])).toBe('units');
    expect(nearest('UNITS', ['units'])).toBe('units');
    expect(nearest('momentum', ['units'])).toBeUndefined();
  });
});
