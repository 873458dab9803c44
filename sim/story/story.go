// Package story has named scenes: what once went wrong somewhere, or easily could, told as scenarios for the simulator. Each
// is run with many seeds.
package story
