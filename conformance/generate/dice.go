package main

import "math/rand/v2"

// dice is where all chance comes from.
type dice struct{ *rand.Rand }

func newDice(seed, stream uint64) dice { return dice{rand.New(rand.NewPCG(seed, stream))} }

// chance is true in the given share of cases.
func (d dice) chance(share float64) bool { return d.Float64() < share }

// pick returns one of the choices.
func pick[T any](d dice, choices ...T) T { return choices[d.IntN(len(choices))] }

// some returns each of the choices with the given chance, in their order.
func some[T any](d dice, share float64, choices ...T) []T {
	var picked []T
	for _, choice := range choices {
		if d.chance(share) {
			picked = append(picked, choice)
		}
	}
	return picked
}

// object is JSON in the making.
type object = map[string]any

// at returns the object under a key, made if there is none.
func at(parent object, key string) object {
	child, ok := parent[key].(object)
	if !ok {
		child = object{}
		parent[key] = child
	}
	return child
}

// set gives a key a value, or takes the key away if the value is nil.
func set(parent object, key string, value any) {
	if value == nil {
		delete(parent, key)
		return
	}
	parent[key] = value
}

// clone copies JSON in the making.
func clone[T any](value T) T {
	var copied func(any) any
	copied = func(value any) any {
		switch value := value.(type) {
		case object:
			result := object{}
			for key, child := range value {
				result[key] = copied(child)
			}
			return result
		case []any:
			result := make([]any, len(value))
			for i, child := range value {
				result[i] = copied(child)
			}
			return result
		case []object:
			result := make([]object, len(value))
			for i, child := range value {
				result[i] = copied(child).(object)
			}
			return result
		}
		return value
	}
	return copied(value).(T)
}
