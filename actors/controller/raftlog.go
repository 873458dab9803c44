package controller

import (
	"fmt"
	"log/slog"
)

// raftLog lets raft write into the node's log: what it finds interesting is for debugging only.
type raftLog struct{ *slog.Logger }

func (l raftLog) Debug(v ...any)                   { l.Logger.Debug(fmt.Sprint(v...)) }
func (l raftLog) Debugf(format string, v ...any)   { l.Logger.Debug(fmt.Sprintf(format, v...)) }
func (l raftLog) Info(v ...any)                    { l.Logger.Debug(fmt.Sprint(v...)) }
func (l raftLog) Infof(format string, v ...any)    { l.Logger.Debug(fmt.Sprintf(format, v...)) }
func (l raftLog) Warning(v ...any)                 { l.Logger.Warn(fmt.Sprint(v...)) }
func (l raftLog) Warningf(format string, v ...any) { l.Logger.Warn(fmt.Sprintf(format, v...)) }
func (l raftLog) Error(v ...any)                   { l.Logger.Error(fmt.Sprint(v...)) }
func (l raftLog) Errorf(format string, v ...any)   { l.Logger.Error(fmt.Sprintf(format, v...)) }

// Fatal and Panic are raft's word for the impossible: the actor fails and starts again from its log.
func (l raftLog) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLog) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
func (l raftLog) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLog) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
